"""The list of rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from fixbot.agent.decisions import Figures
from fixbot.agent.report.text import line
from fixbot.detectors.finding import FixKind
from fixbot.detectors.registry import all_rules


def rules_json(stats: Mapping[str, Figures]) -> list[dict[str, Any]]:
    """One object a rule, with how its findings were decided."""
    return [
        {
            "id": one.id,
            "group": one.group,
            "summary": one.summary,
            "severity": one.severity.value,
            "fix": {"kind": one.fix.kind.value, "safety": one.fix.safety.value},
            "decisions": _figures_json(stats.get(one.id, Figures())),
        }
        for one in all_rules().values()
    ]


def _figures_json(one: Figures) -> dict[str, Any]:
    return {
        "decided": one.decided,
        "accepted": one.accepted,
        "false_positives": one.false_positives,
        "wrong_fixes": one.wrong_fixes,
        "precision": one.precision,
    }


def print_stats(console: Console, stats: Mapping[str, Figures]) -> None:
    """How people decided about each rule's findings, in reviews and pull requests."""
    if not any(one.decided for one in stats.values()):
        console.print("Nothing was decided yet: fixbot review")
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("rule", "decided", "accepted", "false positives", "wrong fixes", "precision"):
        table.add_column(name, no_wrap=True, justify="left" if name == "rule" else "right")
    for rule, one in sorted(stats.items()):
        if one.precision is not None:
            counts = (one.decided, one.accepted, one.false_positives, one.wrong_fixes)
            table.add_row(Text(line(rule)), *map(str, counts), f"{one.precision:.0%}")
    console.print(table)


def print_rules(console: Console, *, short: bool) -> None:
    """A table, or one id a line."""
    if short:
        for one in all_rules().values():
            console.print(one.id)
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("rule", "severity", "fix", "finds"):
        table.add_column(name, no_wrap=name != "finds")
    for one in sorted(all_rules().values(), key=lambda rule: (rule.group, rule.id)):
        fix = f"codemod, {one.fix.safety.value}" if one.fix.kind is FixKind.CODEMOD else one.fix.kind.value
        table.add_row(one.id, one.severity.value, fix, Text(one.summary))
    console.print(table)
