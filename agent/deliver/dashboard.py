"""The dashboard: one issue that lists what is open, waits, was declined and could not be fixed, and takes commands by check boxes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from fixbot.agent.deliver.mark import Memory, box, write_note
from fixbot.agent.deliver.plan import Action, Step
from fixbot.agent.report.markdown import code, escape
from fixbot.agent.report.text import harmless, line, plural
from fixbot.agent.result import Outcome, RunResult, Status

TITLE = "fixbot dashboard"
_ROWS = 100  # that a section has at most
_MAX_BODY = 60_000  # characters; GitHub takes 65,536
_OPEN = (Action.OPEN, Action.UPDATE, Action.KEEP, Action.LEAVE)


def render(steps: Sequence[Step], result: RunResult, memory: Memory) -> str:
    """The dashboard's text after the steps of a delivery."""
    sections = (
        ("Open", [_open(step) for step in steps if step.action in _OPEN]),
        ("Waiting", [_waiting(step, memory) for step in steps if step.action is Action.WAIT]),
        ("Refused", [f"- {code(step.key)}: {_shown(step.reason)}" for step in steps if step.action is Action.REFUSED]),
        ("Not offered again", [_declined(step) for step in steps if step.action is Action.DECLINED and step.pull]),
        ("Closed by fixbot", [f"- #{step.pull.number}: {step.reason}" for step in steps if step.action is Action.CLOSE and step.pull]),
        ("Not fixed", list(_left(result.outcomes))),
    )
    text = [
        write_note(memory),
        "",
        "What fixbot found here and what became of it. Tick a box to tell it something; it looks at its next run.",
        "",
    ]
    for name, rows in sections:
        if rows:
            text += [f"## {name}", "", *rows[:_ROWS], *([f"- ... and {len(rows) - _ROWS} more"] if len(rows) > _ROWS else []), ""]
    text += [f"<sub>run `{result.run}` on `{result.base[:12]}`</sub>", ""]
    return _cut(text)


def _cut(rows: Sequence[str]) -> str:
    kept: list[str] = []
    room = _MAX_BODY
    for row in rows:
        room -= len(row) + 1
        if room < 0:
            return "\n".join((*kept, "", "... cut: more than an issue holds.", ""))
        kept.append(row)
    return "\n".join(kept)


def _open(step: Step) -> str:
    where = f"#{step.pull.number}" if step.pull else code(step.branch)
    return f"- {where} {_group(step)}" + (f"; {_shown(step.reason)}" if step.reason else "")


def _waiting(step: Step, memory: Memory) -> str:
    since = memory.first_seen.get(step.key, "")
    return f"{box(f'open {step.key}')} open now: {_group(step)}; {_shown(step.reason)}" + (f"; waits since {since}" if since else "")


def _declined(step: Step) -> str:
    assert step.pull is not None
    return f"{box(f'reopen {step.pull.number}')} offer again: {_group(step)}; {_shown(step.reason)}"


def _group(step: Step) -> str:
    return f"{code(step.key)}: {plural(len(step.fixes), 'fix', 'fixes')}"


def _left(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Findings without a proven fix, counted by rule, status and reason."""
    left = [one for one in outcomes if one.status not in (Status.FIXED, Status.SUPPRESSED)]
    counted = Counter((one.finding.rule, one.status.value, line(one.reason)[:200]) for one in left)
    for (rule, status, reason), number in sorted(counted.items(), key=lambda entry: (-entry[1], entry[0])):
        yield f"- {code(rule)}: {plural(number, 'finding')}, {status}" + (f": {_shown(reason)}" if reason else "")


def _shown(text: str) -> str:
    """Text with our own references to pull requests (``#5 was ...``) left to work."""
    number, space, rest = text.partition(" ")
    if space and number.startswith("#") and number[1:].isdigit():
        return f"{number} {harmless(escape(line(rest)))}"
    return harmless(escape(line(text)))
