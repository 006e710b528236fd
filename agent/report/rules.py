"""The list of rules."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from fixbot.detectors.finding import FixKind
from fixbot.detectors.registry import all_rules


def rules_json() -> list[dict[str, Any]]:
    """One object a rule."""
    return [
        {
            "id": one.id,
            "group": one.group,
            "summary": one.summary,
            "severity": one.severity.value,
            "fix": {"kind": one.fix.kind.value, "safety": one.fix.safety.value},
        }
        for one in all_rules().values()
    ]


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
