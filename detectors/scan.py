"""From a project and rules to findings: prefilter on bytes, one walk a file, then the rules over the whole project."""

from __future__ import annotations

import gc
import hashlib
import json
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fixbot.detectors.analysis import Analysis, build, collectors_of, name_of
from fixbot.detectors.cache import Cache
from fixbot.detectors.engines.ruff import Diagnostic, diagnose
from fixbot.detectors.finding import Finding, ReadReport, Span, finding_from_json, with_fingerprints
from fixbot.detectors.project import Project, Skipped, is_generated
from fixbot.detectors.registry import Check, Report, Rule, rules_version, select_rules
from fixbot.detectors.source import SourceFile
from fixbot.detectors.suppressions import UNUSED, Suppression, apply_suppressions

_PARALLEL_FROM = 400  # files; below, starting processes costs more than they save
_CHUNK = 64  # files sent to a process at once


@dataclass(frozen=True, slots=True)
class Options:
    """How to scan. ``baseline`` are fingerprints that are not reported; ``changed`` limits findings to these lines of these files."""

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    jobs: int = 1
    cache: Path | None = None
    baseline: frozenset[str] = frozenset()
    changed: Mapping[str, Sequence[tuple[int, int]]] | None = None


@dataclass(frozen=True, slots=True)
class Scan:
    """What a scan found. ``suppressed`` are the findings that are muted; ``reports`` are bug reports that were read with it.

    ``decided`` tells, by fingerprint, what a person has decided about a finding or its fix.
    """

    findings: tuple[Finding, ...]
    suppressed: tuple[Finding, ...]
    skipped: tuple[Skipped, ...]
    files: tuple[str, ...]
    rules: tuple[str, ...]
    reports: tuple[ReadReport, ...] = ()
    decided: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def clean_files(self) -> int:
        """How many scanned files have no finding."""
        return len(self.files) - len({finding.path for finding in self.findings} & set(self.files))


def scan(project: Project, options: Options = Options(), progress: Callable[[int, int], None] | None = None) -> Scan:
    """Find candidate bugs. Raises KeyError for an unknown rule and EngineError when ruff cannot be run."""
    with _without_collector():
        return _scan(project, options, progress)


def _scan(project: Project, options: Options, progress: Callable[[int, int], None] | None) -> Scan:
    rules = [_applicable(one, project) for one in select_rules(options.select, options.ignore)]
    results = _analyse_all(project, rules, options, progress)
    muting = {path: _suppressions(result) for path, result in results.items() if result.get("suppressions")}
    skipped = [Skipped(path, result["skipped"]) for path, result in results.items() if result.get("skipped")]
    found = [finding_from_json(entry) for result in results.values() for entry in result.get("findings", ())]
    found.extend(_check_project(project, rules, results))
    ran = frozenset(one.id for one in rules if not one.external) | frozenset(() if _muted(UNUSED, options) else (UNUSED,))
    kept, muted = apply_suppressions(with_fingerprints(found), muting, ran)
    gone = {entry.path for entry in skipped}
    return Scan(
        findings=tuple(sorted((one for one in kept if wanted(one, options)), key=lambda one: (one.path, one.span, one.rule))),
        suppressed=tuple(muted),
        skipped=tuple(sorted((*project.skipped, *skipped), key=lambda entry: entry.path)),
        files=tuple(path for path in project.files if path not in gone),
        rules=tuple(sorted(ran)),
    )


def _applicable(one: Rule, project: Project) -> Rule:
    """The rule without the checks that have nothing to say about this project."""
    return replace(one, checks=tuple(check for check in one.checks if check.when is None or check.when(project)))


def _muted(name: str, options: Options) -> bool:
    return name in options.ignore or bool(options.select and not {name, "all"} & set(options.select))


def wanted(finding: Finding, options: Options) -> bool:
    """Whether a finding is outside the baseline and, where only changed lines count, on one of them."""
    if finding.fingerprint in options.baseline:
        return False
    if options.changed is None:
        return True
    return any(first <= finding.span.end_line and finding.span.line <= last for first, last in options.changed.get(finding.path, ()))


def _suppressions(result: Mapping[str, Any]) -> list[Suppression]:
    return [
        Suppression(Span(*entry["span"]), tuple(entry["rules"]), None if entry["lines"] is None else tuple(entry["lines"]))
        for entry in result["suppressions"]
    ]


# Files: from the cache, or analysed here or in other processes


def _analyse_all(
    project: Project, rules: Sequence[Rule], options: Options, progress: Callable[[int, int], None] | None
) -> dict[str, dict[str, Any]]:
    store = Cache(options.cache)
    salt = "\0".join((rules_version(), *(check.name for one in rules for check in one.checks)))
    data: dict[str, bytes] = {}
    results: dict[str, dict[str, Any]] = {}
    for path in project.files:
        try:
            data[path] = project.read(path)
        except OSError as error:
            results[path] = {"skipped": f"cannot be read: {error.strerror}"}
    for path in [path for path, content in data.items() if is_generated(content)]:
        results[path] = {"skipped": "generated"}
        del data[path]
    keys = _keys(salt, data)
    known = store.get(keys.values())
    fresh = [path for path, key in keys.items() if key not in known]
    results.update((path, known[key]) for path, key in keys.items() if key in known)
    done = len(results)
    made: dict[str, str] = {}
    for path, result in _analyse_fresh(project, rules, options, {path: data[path] for path in fresh}):
        results[path] = json.loads(result)
        made[keys[path]] = result
        done += 1
        if progress:
            progress(done, len(project.files))
    store.put(made)
    return {path: results[path] for path in project.files}


def _keys(salt: str, data: Mapping[str, bytes]) -> dict[str, str]:
    """What each file's result is known by: a hash of the rules and options in ``salt``, its path and its content."""
    start = hashlib.blake2b(salt.encode("utf-8", "surrogateescape") + b"\0", digest_size=20)
    keys: dict[str, str] = {}
    for path, content in data.items():
        digest = start.copy()
        digest.update(path.encode("utf-8", "surrogateescape") + b"\0")
        digest.update(content)
        keys[path] = digest.hexdigest()
    return keys


def _analyse_fresh(project: Project, rules: Sequence[Rule], options: Options, data: Mapping[str, bytes]) -> Iterator[tuple[str, str]]:
    codes = {code for one in rules for check in one.checks for code in check.codes}
    diagnostics = diagnose(project.root, list(data), codes, options.jobs) if data else {}
    jobs = [(path, content, diagnostics.get(path, [])) for path, content in data.items()]
    if options.jobs <= 1 or len(jobs) < _PARALLEL_FROM:
        yield from _analyse_chunk(rules, jobs)
        return
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(options.jobs) as pool:
        chunks = [jobs[start : start + _CHUNK] for start in range(0, len(jobs), _CHUNK)]
        for results in pool.map(_analyse_list, [rules] * len(chunks), chunks):
            yield from results


_Job = tuple[str, bytes, list[Diagnostic]]


def _analyse_list(rules: Sequence[Rule], jobs: Sequence[_Job]) -> list[tuple[str, str]]:
    with _without_collector():
        return list(_analyse_chunk(rules, jobs))


def _analyse_chunk(rules: Sequence[Rule], jobs: Iterable[_Job]) -> Iterator[tuple[str, str]]:
    analysis = Analysis(rules)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield from analysis.of_all(SourceFile(path, content, diagnostics) for path, content, diagnostics in jobs)


@contextmanager
def _without_collector() -> Generator[None]:
    """Syntax trees hold no cycles: the cyclic collector would only re-read them again and again while they are built."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


# The whole project


def _check_project(project: Project, rules: Sequence[Rule], results: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    collected = {
        collector: {
            path: result["collected"][name_of(collector)]
            for path, result in results.items()
            if name_of(collector) in result.get("collected", ())
        }
        for collector in collectors_of(rules)
    }
    known = project.with_collected(collected)
    for one in rules:
        for check in one.checks:
            if check.project:
                yield from (_project_finding(one, check, entry) for entry in check.function(known))


def _project_finding(one: Rule, check: Check, entry: Report) -> Finding:
    if not isinstance(entry.span, Span) or not entry.path:
        raise TypeError(f"{one.id}: a project check must report a Span and a path")
    return build(one, check, entry, entry.span, "", entry.message, entry.path)
