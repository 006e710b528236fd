"""A run as a Markdown bug report: severity, place, description, impact, fix, evidence for each finding; clean files counted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from fixbot.agent.report.text import clean, plural
from fixbot.agent.result import Outcome, RunResult, Status
from fixbot.detectors.finding import ReadReport, Severity
from fixbot.detectors.registry import all_rules
from fixbot.detectors.suppressions import UNUSED

_NOTE = 120
"""Bytes that are kept for the note on what was cut."""
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~!@&])")


def markdown(result: RunResult, limit: int | None = None) -> str:
    """The whole report as one document, or the blocks of it (the summary's lines, whole findings) that fit into ``limit`` bytes of UTF-8.

    What is left out is told at the end.
    """
    shown = sorted((one for one in result.outcomes if one.status is not Status.SUPPRESSED), key=lambda one: one.finding.severity.rank)
    blocks = [*_head(result, shown), *("\n".join(_finding(number, outcome)) for number, outcome in enumerate(shown, 1)), *_tail(result)]
    if limit is not None and sum(_size(block) for block in blocks) > limit:
        blocks = list(_fitting(blocks, limit, len(shown)))
    return "\n".join(blocks) + "\n"


def _size(block: str) -> int:
    return len(block.encode("utf-8", "replace")) + 1


def _fitting(blocks: Sequence[str], limit: int, findings: int) -> Iterator[str]:
    left, room = findings, limit - _NOTE
    for block in blocks:
        room -= _size(block)
        if room < 0:
            break
        left -= block.startswith("### ")
        yield block
    yield f"**Cut to {limit:,} bytes:** {left} of {plural(findings, 'finding')} and all that follows are left out here."


def _head(result: RunResult, shown: Sequence[Outcome]) -> Iterator[str]:
    yield from ("# Bug report", "", "## Summary", "")
    counts = ", ".join(f"{severity.value}: {sum(one.finding.severity is severity for one in shown)}" for severity in Severity)
    yield f"- **Files scanned:** {result.files} ({result.clean_files} clean, {len(result.skipped)} skipped)"
    yield f"- **Findings:** {len(shown)} ({counts})"
    yield f"- **Fixed:** {result.count(Status.FIXED)}" + (f", on branch `{result.branch}`" if result.branch else "")
    yield f"- **Base:** `{result.base[:12]}`; run `{result.run}`; sandbox: {result.sandbox}"
    yield f"- **Tests without fixes:** {tests_line(result.tests)}; {plural(result.suite_runs, 'suite run')}"
    yield from (f"- **Note:** {escape(note)}" for note in result.notes)
    yield from ("", "## Findings", "")


def _tail(result: RunResult) -> Iterator[str]:
    if result.skipped:
        yield from ("## Files skipped", "")
        yield from (f"- {code(entry.path)}: {escape(entry.reason)}" for entry in result.skipped)
    for report in result.reports:
        yield from _report(report)


def _report(report: ReadReport) -> Iterator[str]:
    """The entries of a bug report that have no finding."""
    headings = [one for one in report.refused if one.heading_only]
    yield from (f"## Bug report {code(report.file)}", "", f"- **Entries:** {report.entries} ({report.placed} placed)")
    if headings:
        yield f"- **Headings without a bug of their own:** {len(headings)}"
    yield from (
        f"- **{words}:** {escape(one.id)}, {escape(one.heading)}: {escape(one.reason)}"
        for words, some in (("Not placed", report.refused), ("Placed in part", report.partly))
        for one in some
        if not one.heading_only
    )
    yield ""


def _finding(number: int, outcome: Outcome) -> Iterator[str]:
    one = outcome.finding
    yield f"### {number}. {one.rule}: {code(one.path.rpartition('/')[2])}"
    yield ""
    yield f"- **File:** {code(f'{one.path}:{one.span.line}')}" + (f" in {code(one.scope)}" if one.scope else "")
    yield f"- **Severity:** {one.severity.value}"
    if one.sources:
        yield f"- **Sources:** {escape(', '.join(one.sources))}"
    yield f"- **Description:** {escape(one.message)}"
    yield f"- **Impact:** {impact(one.rule)}"
    yield f"- **Status:** {outcome.status.value}" + (f": {escape(outcome.reason)}" if outcome.reason else "")
    if outcome.verdict:
        yield f"- **Evidence:** {escape(evidence_line(outcome.verdict))}"
    if outcome.spend:
        yield f"- **Model:** {escape(spend_line(outcome.spend))}"
    if outcome.commit:
        yield f"- **Commit:** `{outcome.commit[:12]}`"
    for place in one.related:
        yield f"- **See:** {code(f'{place.path}:{place.line}')}: {escape(place.message)}"
    yield f"- **Fingerprint:** `{one.fingerprint}`"
    if outcome.patch:
        fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", outcome.patch["diff"])), default=0))
        yield from ("- **Fix:**", "", f"{fence}diff", clean(outcome.patch["diff"]).rstrip("\n"), fence)
    yield ""


@cache
def impact(rule: str) -> str:
    """The first paragraph of the rule page's "Why it is a bug", on one line."""
    known = all_rules().get(rule)
    if known is None:
        return "A comment that looks as if it muted something." if rule == UNUSED else "Reported by another tool."
    match = re.search(r"^## Why it is a bug\n+(.+?)(?:\n\n|\Z)", known.page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return " ".join(match[1].split()) if match else known.summary


def spend_line(spend: Mapping[str, Any]) -> str:
    """What a model took, in a few words; ``""`` where none was asked."""
    if not spend["model"]:
        return ""
    calls = f"{plural(spend['calls'], 'call')}, " if spend.get("calls") else ""
    cost = "" if spend["cost"] is None else f", {spend['cost']:.4f} USD"
    estimated = " (estimated)" if spend.get("estimated") else ""
    return f"{clean(spend['model'])}: {calls}{spend['tokens']:,} tokens{cost}{estimated}"


def tests_line(tests: Mapping[str, Any]) -> str:
    """The baseline in a few words."""
    if not tests:
        return "not run"
    if tests["problem"]:
        return f"no verdict possible: {clean(tests['problem'])}"
    flaky = f", {len(tests['flaky'])} flaky" if tests["flaky"] else ""
    return f"{tests['passed']} passed, {tests['failed']} failed{flaky}"


def evidence_line(verdict: Mapping[str, Any]) -> str:
    """A verdict in one line."""
    if verdict["grade"] == "unverifiable":
        return f"unverifiable: {verdict['reason']}"
    if verdict["newly_failing"]:
        return f"{plural(len(verdict['newly_failing']), 'test')} newly failing: {', '.join(verdict['newly_failing'][:3])}"
    lines, tests = verdict["changed_lines_covered"], verdict["executed_by"]
    by = f" ({tests[0]}{' and others' if len(tests) > 1 else ''})" if tests else ""
    suite = f"{verdict['tests_before']} tests passed before, {verdict['tests_after']} after"
    proof = verdict["proof_test"]
    shown = f"; {proof['path']} fails without the fix and passes with it" if proof and proof["kept"] else ""
    if not lines["changed"]:
        return f"{verdict['grade']}: {suite}; {verdict['reason']}{shown}"
    if lines["executed"] == lines["changed"] and verdict["reason"]:
        shown = f"; {verdict['reason']}{shown}"
    return f"{verdict['grade']}: {lines['executed']} of {lines['changed']} changed lines executed by passing tests{by}; {suite}{shown}"


def escape(text: str) -> str:
    """Text of others as Markdown that shows it literally: no markup, mention, link or HTML."""
    return _SPECIAL.sub(r"\\\1", clean(text).replace("\n", " "))


def prose(text: str) -> str:
    """Text of others in which pairs of backticks mark code: shown as such, the rest literally."""
    parts = clean(text).replace("\n", " ").split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    return "".join(code(part) if number % 2 and part.strip() else escape(part) for number, part in enumerate(parts))


def code(text: str) -> str:
    """Text of others as inline code."""
    shown = clean(text).replace("\n", "\\n")
    fence = "`" * (1 + max((len(run) for run in re.findall(r"`+", shown)), default=0))
    return f"{fence} {shown} {fence}" if "`" in shown else f"`{shown}`"
