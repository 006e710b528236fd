"""From a project and rules to findings: prefilter on bytes, one walk a file, then the rules over the whole project."""

from __future__ import annotations

import ast
import gc
import hashlib
import json
import warnings
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fixbot.detectors.cache import Cache
from fixbot.detectors.engines.ruff import Diagnostic, diagnose
from fixbot.detectors.finding import Finding, ReadReport, Span, finding_from_json, with_fingerprints
from fixbot.detectors.project import Project, Skipped, is_generated
from fixbot.detectors.registry import Check, Collector, Report, Rule, rules_version, select_rules
from fixbot.detectors.source import SkippedFile, SourceFile
from fixbot.detectors.suppressions import UNUSED, Suppression, apply_suppressions, suppressions
from fixbot.detectors.walk import walk

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
    """What a scan found. ``suppressed`` are the findings that a comment muted; ``reports`` are bug reports that were read with it."""

    findings: tuple[Finding, ...]
    suppressed: tuple[Finding, ...]
    skipped: tuple[Skipped, ...]
    files: tuple[str, ...]
    rules: tuple[str, ...]
    reports: tuple[ReadReport, ...] = ()

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
    keys = {path: _key(salt, path, content) for path, content in data.items()}
    known = store.get(keys.values())
    fresh = [path for path, key in keys.items() if key not in known]
    results.update((path, known[key]) for path, key in keys.items() if key in known)
    done = len(results)
    made: dict[str, Any] = {}
    for path, result in _analyse_fresh(project, rules, options, {path: data[path] for path in fresh}):
        results[path] = result
        made[keys[path]] = result
        done += 1
        if progress:
            progress(done, len(project.files))
    store.put(made)
    return {path: results[path] for path in project.files}


def _key(salt: str, path: str, content: bytes) -> str:
    digest = hashlib.blake2b(digest_size=20)
    digest.update(f"{salt}\0{path}\0".encode("utf-8", "surrogateescape"))
    digest.update(content)
    return digest.hexdigest()


def _analyse_fresh(
    project: Project, rules: Sequence[Rule], options: Options, data: Mapping[str, bytes]
) -> Iterator[tuple[str, dict[str, Any]]]:
    codes = {code for one in rules for check in one.checks for code in check.codes}
    diagnostics = diagnose(project.root, list(data), codes) if data else {}
    jobs = [(path, content, diagnostics.get(path, [])) for path, content in data.items()]
    if options.jobs <= 1 or len(jobs) < _PARALLEL_FROM:
        yield from _analyse_chunk(rules, jobs)
        return
    with ProcessPoolExecutor(options.jobs) as pool:
        chunks = [jobs[start : start + _CHUNK] for start in range(0, len(jobs), _CHUNK)]
        for results in pool.map(_analyse_list, [rules] * len(chunks), chunks):
            yield from results


_Job = tuple[str, bytes, list[Diagnostic]]


def _analyse_list(rules: Sequence[Rule], jobs: Sequence[_Job]) -> list[tuple[str, dict[str, Any]]]:
    with _without_collector():
        return list(_analyse_chunk(rules, jobs))


def _analyse_chunk(rules: Sequence[Rule], jobs: Iterable[_Job]) -> Iterator[tuple[str, dict[str, Any]]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path, content, diagnostics in jobs:
            yield path, analyse(SourceFile(path, content, diagnostics), rules)


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


# One file


def analyse(source: SourceFile, rules: Sequence[Rule]) -> dict[str, Any]:
    """Everything that the rules and their collectors say about one file, as JSON: findings, collected, suppressions, or skipped."""
    try:
        _ = source.tree  # every file is parsed: a syntax error is worth a word even where no rule looks
        findings = list(_check_file(source, rules))
        collected = {_name(collector): value for collector in _collectors(rules) if (value := collector(source))}
    except SkippedFile as reason:
        return {"skipped": str(reason)}
    except RecursionError:
        return {"skipped": "nested too deeply to analyse"}
    result: dict[str, Any] = {}
    if findings:
        result["findings"] = [finding.to_json() for finding in findings]
    if collected:
        result["collected"] = collected
    muting = [
        {"span": [one.span.line, one.span.column, one.span.end_line, one.span.end_column], "rules": one.rules, "lines": one.lines}
        for one in suppressions(source)
    ]
    if muting:
        result["suppressions"] = muting
    return json.loads(json.dumps(result)) if result else result


def _check_file(source: SourceFile, rules: Sequence[Rule]) -> Iterator[Finding]:
    handlers: defaultdict[type[ast.AST], list[tuple[Rule, Check]]] = defaultdict(list)
    by_code: defaultdict[str, list[tuple[Rule, Check]]] = defaultdict(list)
    for one in rules:
        for check in one.checks:
            if check.project or not _hinted(check.hints, source.data):
                continue
            for kind in check.nodes:
                handlers[kind].append((one, check))
            for code in check.codes:
                by_code[code].append((one, check))
    for diagnostic in source.diagnostics:
        for one, check in by_code[diagnostic.code]:
            yield from (_finding(one, check, entry, source) for entry in check.function(diagnostic, source))
    if handlers:
        for node in walk(source.tree, handlers):
            for one, check in handlers[type(node)]:
                yield from (_finding(one, check, entry, source) for entry in check.function(node, source))


def _hinted(hints: Sequence[bytes], data: bytes) -> bool:
    for hint in hints:
        if hint in data:
            return True
    return not hints


def _finding(one: Rule, check: Check, entry: Report, source: SourceFile) -> Finding:
    if isinstance(entry.span, Span):
        return _build(one, check, entry, entry.span, "", "".join(source.segment(entry.span).split()), source.path)
    return _build(one, check, entry, source.span(entry.span), source.scope(entry.span), _code(entry.span), source.path)


def _build(one: Rule, check: Check, entry: Report, span: Span, scope: str, key: str, path: str) -> Finding:
    return Finding(
        rule=one.id,
        severity=entry.severity or check.severity,
        path=entry.path or path,
        span=span,
        message=entry.message,
        scope=scope if entry.scope is None else entry.scope,
        key=key if entry.key is None else entry.key,
        related=entry.related,
        fix=entry.fix or check.fix,
        facts=entry.facts,
    )


def _code(node: ast.AST) -> str:
    """The node's own code without the blocks that it holds, whatever its formatting."""
    blocks = {name for name in ("body", "orelse", "finalbody", "handlers", "cases") if isinstance(getattr(node, name, None), list)}
    if not blocks:
        return ast.dump(node)
    return type(node).__name__ + "".join(
        ast.dump(value) for name, value in ast.iter_fields(node) if name not in blocks and isinstance(value, ast.AST)
    )


# The whole project


def _check_project(project: Project, rules: Sequence[Rule], results: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    collected = {
        collector: {
            path: result["collected"][_name(collector)]
            for path, result in results.items()
            if _name(collector) in result.get("collected", ())
        }
        for collector in _collectors(rules)
    }
    known = project.with_collected(collected)
    for one in rules:
        for check in one.checks:
            if check.project:
                yield from (_project_finding(one, check, entry) for entry in check.function(known))


def _project_finding(one: Rule, check: Check, entry: Report) -> Finding:
    if not isinstance(entry.span, Span) or not entry.path:
        raise TypeError(f"{one.id}: a project check must report a Span and a path")
    return _build(one, check, entry, entry.span, "", entry.message, entry.path)


def _collectors(rules: Sequence[Rule]) -> list[Collector]:
    return list(dict.fromkeys(collector for one in rules for check in one.checks for collector in check.collects))


def _name(collector: Collector) -> str:
    return f"{collector.__module__}.{collector.__qualname__}"
