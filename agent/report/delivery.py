"""What became of pull requests, for a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from fixbot.agent.report.markdown import code, escape
from fixbot.agent.report.text import line, plural

if TYPE_CHECKING:
    from rich.console import Console

WORDS = {
    "open": "opened",
    "update": "updated",
    "keep": "unchanged",
    "leave": "left alone",
    "close": "closed",
    "wait": "waits",
    "declined": "not offered again",
    "refused": "refused by the gate",
}
"""What was done with a group, by its action."""


def print_delivery(console: Console, delivery: Mapping[str, Any]) -> None:
    """``Delivery.to_json``: a line a group, then the dashboard and the notes."""
    pulls = delivery.get("pulls", ())
    if not pulls and "error" not in delivery:
        console.print("no pull requests: the run has no proven fix to offer")
    for one in pulls:
        where = f"#{one['number']} {line(one['url'])}" if one["number"] else line(one["branch"])
        reason = f": {line(one['reason'])}" if one["reason"] else ""
        action, fixes = WORDS.get(one["action"], line(one["action"])), plural(len(one["findings"]), "fix", "fixes")
        console.print(f"{action} {line(one['group'])} ({fixes}) {where}{reason}")
    if delivery.get("dashboard"):
        console.print(f"dashboard: {line(delivery['dashboard'])}")
    for note in delivery.get("notes", ()):
        console.print(f"note: {line(note)}")


def markdown_delivery(delivery: Mapping[str, Any]) -> Iterator[str]:
    """The same as lines of Markdown, for a job's summary."""
    yield from ("## Pull requests", "")
    if not delivery["pulls"]:
        yield "- none: the run has no proven fix to offer"
    for one in delivery["pulls"]:
        where = f"#{one['number']} {_link(one['url'])}" if one["number"] else code(one["branch"])
        reason = f": {escape(one['reason'])}" if one["reason"] else ""
        count = plural(len(one["findings"]), "fix", "fixes")
        yield f"- **{WORDS.get(one['action'], one['action'])}** {escape(one['group'])} ({count}) {where}{reason}"
    if delivery["dashboard"]:
        yield f"- dashboard: {_link(delivery['dashboard'])}"
    yield from (f"- note: {escape(note)}" for note in delivery["notes"])


def _link(url: str) -> str:
    """An address that the forge gave as a link, where it can be nothing else."""
    return f"<{url}>" if re.fullmatch(r"https?://[\w.:/?#=&%~+-]+", url, re.ASCII) else escape(url)
