"""Bug reports as findings: one for each place of an entry, or the detector's own, with both sources, where it has found the same."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from fixbot.detectors.engines.bug_report import BugReport
from fixbot.detectors.engines.report_entries import Entry
from fixbot.detectors.engines.report_places import Placed, Placer, Spot
from fixbot.detectors.finding import Finding, ReadReport, Refused, Severity, Span, with_fingerprints
from fixbot.detectors.knowledge import table
from fixbot.detectors.project import Project
from fixbot.detectors.registry import all_rules, is_selected
from fixbot.detectors.scan import Options, Scan, wanted
from fixbot.detectors.source import SkippedFile
from fixbot.detectors.suppressions import Suppression, apply_suppressions, suppressions
from fixbot.detectors.walk import descendants

RULE = "reported-bug"


def add_reports(found: Scan, project: Project, reports: Sequence[BugReport], options: Options) -> Scan:
    """A scan with the entries of bug reports added, and what became of each report.

    ``facts["reports"]`` of a finding lists what its entries say: report, id, heading, text, problem, fix, done (called fixed there).
    Suppressions, baseline and changed lines count as for any finding; without the rule among the selected ones entries only join
    the findings of others.
    """
    if not reports:
        return found
    placer = Placer(project)
    known = list(found.findings)
    new: list[Finding] = []
    read: list[ReadReport] = []
    for report in reports:
        placed = [placer.place(entry) for entry in report.entries]
        read.append(_summary(report, placed))
        for one in placed:
            for spot in one.spots:
                same = [index for index, finding in enumerate(known) if _is_same(finding, spot, one.entry)]
                for index in same:
                    known[index] = _join(known[index], report, one.entry)
                if not same:
                    new.append(_finding(report, one.entry, spot, placer))
    if not is_selected(RULE, options.select, options.ignore):
        new = []
    muting = {path: _suppressions(placer, path) for path in {finding.path for finding in new}}
    kept, muted = apply_suppressions(with_fingerprints(new), muting, frozenset())
    both = sorted((*known, *(one for one in kept if wanted(one, options))), key=lambda one: (one.path, one.span, one.rule))
    return replace(found, findings=tuple(both), suppressed=(*found.suppressed, *muted), reports=tuple(read))


def place_report(report: BugReport, project: Project) -> dict[str, Placed]:
    """Every entry with its places, by the entry's id."""
    placer = Placer(project)
    return {entry.id: placer.place(entry) for entry in report.entries}


def _summary(report: BugReport, placed: Sequence[Placed]) -> ReadReport:
    refused = [Refused(one.entry.id, one.entry.heading, one.reason, bool(one.entry.reason)) for one in placed if not one.spots]
    partly = [Refused(one.entry.id, one.entry.heading, why) for one in placed if one.spots for why in one.missing]
    return ReadReport(report.name, len(placed), len(placed) - len(refused), tuple(refused), tuple(partly))


def _suppressions(placer: Placer, path: str) -> list[Suppression]:
    return list(suppressions(placer.source(path))) if path.endswith((".py", ".pyw")) else []


# One entry


def _finding(report: BugReport, entry: Entry, spot: Spot, placer: Placer) -> Finding:
    lines = placer.code(spot.path).lines
    first, last = lines[spot.line - 1], lines[spot.end_line - 1]
    span = Span(spot.line, len(first) - len(first.lstrip()) + 1, spot.end_line, len(last.rstrip()) + 1)
    return Finding(
        rule=RULE,
        severity=entry.severity or Severity.MEDIUM,
        path=spot.path,
        span=span,
        message=f"{entry.heading} ({_source(report, entry)}{', which calls it fixed' if entry.done else ''})",
        scope=_scope(placer, spot),
        key=f"{spot.path}: {entry.heading}",
        fix=all_rules()[RULE].fix,
        facts={"reports": [_facts(report, entry)], "placed_by": spot.by},
        source="bug-report",
        sources=(_source(report, entry),),
    )


def _source(report: BugReport, entry: Entry) -> str:
    return f"{report.name}#{entry.id}"


def _facts(report: BugReport, entry: Entry) -> dict[str, Any]:
    return {
        "report": report.name,
        "id": entry.id,
        "heading": entry.heading,
        "text": entry.text,
        "problem": entry.problem,
        "fix": entry.fix,
        "done": entry.done,
    }


def _scope(placer: Placer, spot: Spot) -> str:
    """The function or class that holds the first line."""
    if not spot.path.endswith((".py", ".pyw")):
        return ""
    try:
        tree = placer.source(spot.path).tree
    except SkippedFile:
        return ""
    around = [
        node
        for node in descendants(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.lineno <= spot.line <= (node.end_lineno or 0)
    ]
    return ".".join(node.name for node in sorted(around, key=lambda node: node.lineno))


# The same as a detector's


def _is_same(finding: Finding, spot: Spot, entry: Entry) -> bool:
    """Whether a finding is what an entry means: lines in common, and the entry speaks of what the rule finds."""
    if finding.rule == RULE or finding.path != spot.path:
        return False
    return finding.span.line <= spot.end_line and spot.line <= finding.span.end_line and speaks_of(entry, finding.rule)


def speaks_of(entry: Entry, rule: str) -> bool:
    """Whether an entry's words are those of a rule's subject."""
    text = f"{entry.heading}\n{entry.text}"
    known = table("report_subjects").get(rule)
    if known:
        return any(re.search(pattern, text, re.IGNORECASE) for pattern in known)
    return all(stem in text.lower() for stem in _stems(rule))


@cache
def _stems(rule: str) -> tuple[str, ...]:
    """The words of a rule's id without what says little and without their endings: ``unclosed-client`` gives ``clos`` and ``client``."""
    little = {"missing", "not", "a", "in", "of", "before", "on", "every", "un", "non", "never", "unknown", "invalid"}
    words = [word for word in rule.rpartition("/")[2].split("-") if word not in little]
    return tuple(re.sub(r"^un(?=\w{4})|(?:ed|ing|es|s|e)$", "", word) for word in words)


def _join(finding: Finding, report: BugReport, entry: Entry) -> Finding:
    """A detector's finding that knows of an entry, too; its identity stays."""
    known: list[dict[str, Any]] = list(finding.facts.get("reports", ()))
    sources = finding.sources or (finding.source,)
    more = _source(report, entry)
    if more in sources:
        return finding
    return replace(finding, facts={**finding.facts, "reports": [*known, _facts(report, entry)]}, sources=(*sources, more))


def entries_on(placed: Placed | None, places: Sequence[tuple[str, tuple[int, int]]]) -> bool:
    """Whether an entry stands on one of some stretches of lines, given as (path, (first, last))."""
    spots: Iterator[Spot] = iter(placed.spots if placed else ())
    return any(spot.path == path and spot.line <= last and first <= spot.end_line for spot in spots for path, (first, last) in places)
