"""The evaluation's figures as tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from fixbot.agent.evaluate import BugResult, Evaluation
from fixbot.agent.report.text import line
from fixbot.detectors.registry import all_rules


def print_evaluation(console: Console, results: Sequence[Evaluation]) -> None:
    """A table a repository, then recall, fixes and precision over all of them."""
    for result in results:
        _print_repository(console, result)
    _print_summary(console, results)
    _print_precision(console, results)


def _print_repository(console: Console, result: Evaluation) -> None:
    figures = table("bug", "rule", "place", "fix", "found", "fixed", "report", "status", title=result.name)
    for one in result.bugs:
        bug = one.bug
        unknown = "" if bug.rule in all_rules() else " (no such rule yet)"
        test = "" if one.failed_before is not False else "; its hidden test passes without a fix"
        place = f"{bug.path}:{bug.lines[0]}"
        told = "" if one.reported is None else f"{line(bug.report or '')}: {'placed' if one.reported else 'not placed'}"
        figures.add_row(bug.id, bug.rule, line(place), bug.fix, _mark(one.found), _mark(one.fixed), told, f"{one.status}{unknown}{test}")
    console.print(figures)
    for words, places in (("decoy hit", result.decoys_hit), ("unexpected", result.unexpected)):
        for place in places:
            console.print(f"  {words}: {line(place)}")
    console.print()


def _print_summary(console: Console, results: Sequence[Evaluation]) -> None:
    figures = table("repository", "bugs", "found", "fixed", "fixed of codemod rows", "decoys", "hit", "unexpected", "placed by report")
    for result in results:
        codemod = [one for one in result.bugs if one.bug.fix == "codemod"]
        figures.add_row(
            result.name,
            str(len(result.bugs)),
            str(sum(one.found for one in result.bugs)),
            str(sum(one.fixed for one in result.bugs)),
            f"{sum(one.fixed for one in codemod)} of {len(codemod)}",
            str(result.decoys),
            str(len(result.decoys_hit)),
            str(len(result.unexpected)),
            _told(result.bugs),
        )
    console.print(figures)
    bugs = [one for result in results for one in result.bugs]
    known = [one for one in bugs if one.bug.rule in all_rules()]
    found = sum(one.found for one in bugs)
    console.print(f"recall {_ratio(found, len(bugs))}; of the rows whose rule exists {_ratio(sum(one.found for one in known), len(known))}")
    told = _told(bugs)
    if told:
        console.print(f"rows that their report's entry is placed on: {told}")
    console.print()


def _told(bugs: Sequence[BugResult]) -> str:
    """Of the rows that a report tells of, those that its entry is placed on."""
    told = [one.reported for one in bugs if one.reported is not None]
    return _ratio(sum(told), len(told)) if told else ""


def _print_precision(console: Console, results: Sequence[Evaluation]) -> None:
    right: Counter[str] = sum((result.right for result in results), Counter[str]())
    wrong: Counter[str] = sum((result.wrong for result in results), Counter[str]())
    figures = table("rule", "findings", "right", "precision")
    for rule in sorted(right | wrong):
        total = right[rule] + wrong[rule]
        figures.add_row(rule, str(total), str(right[rule]), f"{right[rule] / total:.0%}")
    console.print(figures)


def table(*columns: str, title: str = "") -> Table:
    """An empty table with these columns, as all of the evaluation's."""
    made = Table(title=title or None, title_justify="left", box=None, padding=(0, 2, 0, 0))
    for name in columns:
        made.add_column(name, overflow="fold")
    return made


def _mark(good: bool) -> str:
    return "yes" if good else "-"


def _ratio(part: int, whole: int) -> str:
    return f"{part} of {whole}" + (f" ({part / whole:.0%})" if whole else "")
