"""Which functions most likely make a test fail: spectrum-based fault localisation, and the traceback.

The Ochiai coefficient of a line is ef / sqrt((ef + nf) * (ef + ep)): ef and ep are the failing and passing tests that execute it, nf
the failing ones that do not (Abreu, Zoeteweij, van Gemund: On the accuracy of spectrum-based fault localization, 2007). A function has the
coefficient of its most suspicious line.
"""

from __future__ import annotations

import ast
import math
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from fixbot.agent.verify.results import GOOD, SuiteResult
from fixbot.detectors.project import Project
from fixbot.detectors.source import Function, SkippedFile, SourceFile
from fixbot.detectors.walk import descendants

_FRAME = re.compile(r"^(?:>?\s*File \")?([^\s:\"]+\.py)(?:\", line |:)(\d+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Suspect:
    """A function that may be to blame. ``line`` is its most suspicious line, ``score`` is from 0 to 1."""

    path: str
    name: str
    first: int
    last: int
    line: int
    score: float
    in_traceback: bool


def functions(project: Project, paths: Collection[str]) -> dict[str, list[tuple[str, int, int]]]:
    """For each file its functions as (name, first line of the body, last line), inner ones before those around them."""
    found: dict[str, list[tuple[str, int, int]]] = {}
    for path in paths:
        try:
            source = project.source(path)
            nodes = [node for node in descendants(source.tree) if isinstance(node, Function)]
        except (SkippedFile, OSError):
            continue
        spans = [(_name(source, node), node.body[0].lineno, node.end_lineno or node.lineno) for node in nodes]
        found[path] = sorted(spans, key=lambda span: span[2] - span[1])
    return found


def _name(source: SourceFile, node: ast.AST) -> str:
    scope = source.scope(node)
    name = getattr(node, "name", "")
    return f"{scope}.{name}" if scope else name


def suspects(failing: Collection[str], run: SuiteResult, known: Mapping[str, Sequence[tuple[str, int, int]]]) -> list[Suspect]:
    """The functions that the failing tests execute, the most suspicious first. ``run`` holds the executed lines of each test."""
    hits: defaultdict[tuple[str, int], list[int]] = defaultdict(lambda: [0, 0])
    for name, test in run.tests.items():
        bad = name in failing
        if not bad and test.outcome not in GOOD:
            continue
        for path, numbers in test.lines.items():
            for number in numbers:
                hits[path, number][bad] += 1
    traced = set(frames(failing, run, known))
    best: dict[tuple[str, str], Suspect] = {}
    for (path, line), (passed, failed) in hits.items():
        owner = _owner(known.get(path, ()), line)
        if owner is None or not failed:
            continue
        score = failed / math.sqrt(len(failing) * (failed + passed))
        _take(best, Suspect(path, *owner, line, score, (path, line) in traced))
    for path, line in traced:
        owner = _owner(known.get(path, ()), line)
        if owner is not None and (path, owner[0]) not in best:
            _take(best, Suspect(path, *owner, line, 1.0 if not hits else 0.5, True))
    return sorted(best.values(), key=lambda one: (-round(one.score, 6), not one.in_traceback, one.path, one.first))


def _take(best: dict[tuple[str, str], Suspect], one: Suspect) -> None:
    old = best.get((one.path, one.name))
    if old is None:
        best[one.path, one.name] = one
        return
    top = min(old, one, key=lambda each: (-each.score, not each.in_traceback, each.line))
    traced = old.in_traceback or one.in_traceback
    best[one.path, one.name] = Suspect(top.path, top.name, top.first, top.last, top.line, top.score, traced)


def _owner(spans: Sequence[tuple[str, int, int]], line: int) -> tuple[str, int, int] | None:
    return next((span for span in spans if span[1] <= line <= span[2]), None)


def frames(failing: Collection[str], run: SuiteResult, known: Mapping[str, object]) -> Iterator[tuple[str, int]]:
    """The lines of known files that the failing tests' tracebacks name."""
    for name in failing:
        if name in run.tests:
            for path, line in _FRAME.findall(run.tests[name].detail):
                if path in known:
                    yield path, int(line)
