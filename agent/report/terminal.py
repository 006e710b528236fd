"""Reports for a person at a terminal: findings with their code, a run with its evidence and what to type next."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from fixbot.agent.report.delivery import print_delivery
from fixbot.agent.report.markdown import evidence_line, spend_line, tests_line
from fixbot.agent.report.text import clean, line, plural
from fixbot.agent.result import Outcome, RunResult, Status
from fixbot.detectors.finding import Finding, FixKind, ReadReport, Safety, Severity
from fixbot.detectors.project import Skipped
from fixbot.detectors.scan import Scan
from fixbot.detectors.source import SkippedFile, SourceFile

_STYLE = {Severity.CRITICAL: "bold red", Severity.HIGH: "red", Severity.MEDIUM: "yellow", Severity.LOW: "cyan"}
_LEFT = {
    Status.REGRESSED: "The suite gets worse with these fixes, so they were dropped",
    Status.FAILED: "No usable fix: refused before any test ran, or no answer",
    Status.UNVERIFIABLE: "Fixes that could not be checked, so they were not committed",
    Status.ABSTAINED: "Not attempted, for the reason given",
    Status.NEEDS_MODEL: "These need judgement: a model (--model) or a person",
    Status.OVER_BUDGET: "Not reached within the budget",
    Status.NOT_ATTEMPTED: "Reported only",
}
_DIFF_LINES = 14


def print_check(console: Console, found: Scan, root: Path) -> None:
    """Findings with the code that they are about, then the summary."""
    for one in found.findings:
        _print_finding(console, one, root, found.decided.get(one.fingerprint, ""))
    _print_skipped(console, found.skipped)
    print_reports(console, found.reports)
    console.print(summary(found.findings, len(found.files), found.clean_files))
    if found.suppressed:
        console.print(Text(f"{plural(len(found.suppressed), 'finding')} muted by comments or decisions", "dim"))
    fixable = sum(one.fix.kind is FixKind.CODEMOD and one.fingerprint not in found.decided for one in found.findings)
    if fixable:
        console.print(Text(f"{plural(fixable, 'finding')} can be fixed without a model: fixbot run", "dim"))


def summary(findings: Sequence[Finding], files: int, clean_files: int) -> Text:
    """``3 findings (1 critical, 2 medium) in 42 files, 40 of them clean``."""
    if not findings:
        return Text(f"No findings in {plural(files, 'file')}", "green")
    counts = [(severity, sum(one.severity is severity for one in findings)) for severity in Severity]
    parts = ", ".join(f"{count} {severity.value}" for severity, count in counts if count)
    return Text(f"{plural(len(findings), 'finding')} ({parts}) in {plural(files, 'file')}, {clean_files} of them clean")


def _print_finding(console: Console, one: Finding, root: Path, decision: str) -> None:
    head = Text()
    head.append(f"{line(one.path)}:{one.span.line}:{one.span.column}", "bold")
    head.append(f" {one.severity.value} ", _STYLE[one.severity])
    head.append(one.rule, "bold magenta")
    console.print(head)
    _indented(console, one.message, 2)
    for number, text in _excerpt(root, one):
        console.print(Text.assemble((f"{number:>6} | ", "dim"), text), no_wrap=True, overflow="ellipsis", crop=True)
        if number == one.span.line and one.span.end_line == one.span.line:
            width = max(1, one.span.end_column - one.span.column)
            console.print(
                Text.assemble((" " * 7 + "| ", "dim"), " " * (one.span.column - 1), ("^" * width, _STYLE[one.severity])),
                no_wrap=True,
                crop=True,
            )
    if one.sources:
        console.print(Text(f"  seen by {line(', '.join(one.sources))}", "dim"))
    for place in one.related:
        console.print(Text(f"  see {line(place.path)}:{place.line}: {line(place.message)}", "dim"))
    console.print(Text(f"  fix: {line(decision) or fix_words(one)}", "dim"))
    console.print()


def _indented(console: Console, text: str, indent: int, style: str = "") -> None:
    """Text of others on its own lines, wrapped and moved to the right."""
    for row in textwrap.wrap(line(text), max(20, console.width - indent)):
        console.print(Text(" " * indent + row, style))


def fix_words(one: Finding) -> str:
    """What can fix a finding, in words."""
    match one.fix.kind:
        case FixKind.CODEMOD:
            return "codemod" if one.fix.safety is Safety.SAFE else "codemod, with --unsafe-fixes"
        case FixKind.MODEL:
            return "needs a model"
        case FixKind.NONE:
            return "none"


def _excerpt(root: Path, one: Finding) -> Iterable[tuple[int, str]]:
    try:
        lines = SourceFile(one.path, (root / one.path).read_bytes()).lines
    except (OSError, SkippedFile):
        return
    for number in range(max(1, one.span.line - 1), min(len(lines), one.span.line + 1) + 1):
        yield number, clean(lines[number - 1]).replace("\t", " ")


def _print_skipped(console: Console, skipped: Sequence[Skipped]) -> None:
    for entry in skipped[:20]:
        console.print(Text(f"skipped {line(entry.path)}: {entry.reason}", "dim"))
    if len(skipped) > 20:
        console.print(Text(f"skipped {len(skipped) - 20} more files", "dim"))


def print_reports(console: Console, reports: Sequence[ReadReport]) -> None:
    """How many entries of each bug report have a place, and why the others have none."""
    for report in reports:
        headings = sum(one.heading_only for one in report.refused)
        rest = f"; {plural(headings, 'heading')} without a bug of its own" if headings == 1 else ""
        rest = f"; {headings} headings without a bug of their own" if headings > 1 else rest
        bugs = report.entries - headings
        console.print(Text(f"{line(report.file)}: {report.placed} of {plural(bugs, 'entry', 'entries')} placed{rest}", "bold"))
        for words, some in (("not placed", report.refused), ("placed in part", report.partly)):
            for one in some:
                if not one.heading_only:
                    _indented(console, f"{words}: {one.id} {one.heading}: {one.reason}", 2)
        console.print()


# A run


def print_run(console: Console, result: RunResult) -> None:
    """What was found and fixed, the evidence, what is left and why, and what to type next."""
    fixed = [outcome for outcome in result.outcomes if outcome.status is Status.FIXED]
    console.print()
    if fixed:
        commits = f" in {plural(len({one.commit for one in fixed}), 'commit')}" if result.branch else ""
        _heading(console, f"Fixed and proven: {plural(len(fixed), 'finding')}{commits}", "green")
        for outcome in _by_severity(fixed):
            _print_fixed(console, outcome)
    for status, why in _LEFT.items():
        left = [outcome for outcome in result.outcomes if outcome.status is status]
        if left:
            _heading(console, f"{why}: {len(left)}", "yellow")
            for outcome in _by_severity(left):
                _print_left(console, outcome)
            console.print()
    print_reports(console, result.reports)
    _print_figures(console, result)
    _print_next(console, result)


def _by_severity(outcomes: Iterable[Outcome]) -> list[Outcome]:
    return sorted(outcomes, key=lambda outcome: (outcome.finding.severity.rank, outcome.finding.path, outcome.finding.span))


def _heading(console: Console, text: str, style: str) -> None:
    console.print(Text(text, f"bold {style}"))
    console.print()


def _print_fixed(console: Console, outcome: Outcome) -> None:
    one = outcome.finding
    head = Text.assemble((f"{one.severity.value:<9}", _STYLE[one.severity]), (one.rule, "bold"), f"  {line(one.path)}:{one.span.line}")
    head.append(f"  {(outcome.commit or '')[:9]}", "dim")
    console.print(head)
    _indented(console, one.message, 9)
    rows = [row for row in (outcome.patch or {"diff": ""})["diff"].splitlines() if row[:1] in "+-" and row[:3] not in ("+++", "---")]
    for row in rows[:_DIFF_LINES]:
        console.print(Text(f"         {clean(row)}", "green" if row[0] == "+" else "red"), no_wrap=True, overflow="ellipsis", crop=True)
    if len(rows) > _DIFF_LINES:
        console.print(Text(f"         ... {len(rows) - _DIFF_LINES} more changed lines", "dim"))
    words = evidence_line(outcome.verdict) if outcome.verdict else outcome.reason
    if outcome.spend:
        words += f"; written by {outcome.spend['model']}, {outcome.spend['tokens']:,} tokens"
    _indented(console, words, 9, style="dim")
    console.print()


def _print_left(console: Console, outcome: Outcome) -> None:
    one = outcome.finding
    console.print(
        Text.assemble((f"{one.severity.value:<9}", _STYLE[one.severity]), (one.rule, "bold"), f"  {line(one.path)}:{one.span.line}")
    )
    _indented(console, one.message, 9)
    if outcome.reason and outcome.status not in (Status.NEEDS_MODEL,):
        _indented(console, outcome.reason, 9, style="dim")


def _print_figures(console: Console, result: RunResult) -> None:
    muted = result.count(Status.SUPPRESSED)
    rows = {
        "Files": f"{result.files} scanned, {result.clean_files} clean, {len(result.skipped)} skipped"
        + (f"; {plural(muted, 'finding')} muted" if muted else ""),
        "Tests": f"{tests_line(result.tests)} without fixes; {plural(result.suite_runs, 'suite run')}" if result.tests else "not run",
        "Model": spend_line(result.spend),
        "Run with": "; ".join(filter(None, (result.environment, f"sandbox {result.sandbox}"))),
        "Time": ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in result.seconds.items()),
    }
    for name, text in rows.items():
        if not text:
            continue
        console.print(Text.assemble((f"{name:<9}", "bold"), line(text)))
    for note in result.notes:
        console.print(Text.assemble((f"{'Note':<9}", "bold"), line(note)))
    console.print()


def _print_next(console: Console, result: RunResult) -> None:
    if result.delivery is not None:
        print_delivery(console, result.delivery)
        return
    if result.branch is None:
        words = "Nothing to fix." if not result.outcomes else "No fix was proven; no branch was made."
        if fixed := result.count(Status.FIXED):
            words = f"{plural(fixed, 'fix', 'fixes')} proven; no branch was made, as asked."
        console.print(Text(words, "green" if not result.outcomes else ""))
        console.print(Text(f"  {'fixbot report ' + result.run + ' --markdown':<44} the whole report", "dim"))
        return
    console.print(Text.assemble("The fixes are on branch ", (result.branch, "bold green"), "; your work tree was not touched. Next:"))
    for command, what in (
        (f"git log -p {result.base[:10]}..{result.branch}", "read them, one commit a finding"),
        (f"git merge {result.branch}", "take them all"),
        (f"fixbot review {result.run}", "or decide one by one"),
        (f"fixbot apply {result.run}", "or take them into your work tree"),
        (f"fixbot report {result.run} --markdown", "the whole report"),
    ):
        console.print(Text.assemble(f"  {command:<48}", (what, "dim")), no_wrap=True)
