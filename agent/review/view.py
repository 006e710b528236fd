"""What a review shows, as styled text: a finding, its evidence, its fix as a diff, the code around it. Text of others is harmless here."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from rich.syntax import Syntax
from rich.text import Text

from fixbot.agent.report.markdown import evidence_line, spend_line
from fixbot.agent.report.text import clean, line, plural
from fixbot.agent.result import Status
from fixbot.agent.review.fixes import Sides
from fixbot.agent.review.session import Entry, Mark, Review
from fixbot.detectors.finding import Finding, Severity

SEVERITY = {Severity.CRITICAL: "bold red", Severity.HIGH: "red", Severity.MEDIUM: "yellow", Severity.LOW: "cyan"}
STATUS = {"accepted": "green", "applied": "green", "false-positive": "red", "wrong-fix": "red", "later": "yellow", "skipped": "dim"}
WIDE = 120
"""From so many columns on the two sides of a diff stand side by side, unless told otherwise."""

_CONTEXT = 3
_COLOURED = 300_000  # characters; larger files are shown without syntax colour
_TAB = "    "
_OLD, _NEW = "on #3a1518", "on #12301c"


def summary(review: Review) -> Text:
    """How many findings there are and where they stand."""
    counts = review.counts()
    parts = [plural(len(review.entries), "finding"), *(f"{count} {name}" for name, count in sorted(counts.items()))]
    text = Text(", ".join(parts))
    if review.problem:
        text.append(f"   {line(review.problem)}", "bold red")
    if review.query:
        text.append(f"   filter: {line(review.query)} ({len(review.shown())} shown)", "bold")
    return text


def row(entry: Entry, width: int) -> Text:
    """An entry in one line: severity, rule, place, grade, status. The place gives way first, from its left."""
    one = entry.outcome.finding
    status = "" if entry.mark is Mark.OPEN and not entry.applied else entry.status
    place = f"{line(one.path)}:{one.span.line}"
    rest = max(10, width - 9 - 25 - 14 - 15)
    if len(place) > rest:
        place = "…" + place[len(place) - rest + 1 :]
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(f"{one.severity.value:<9}", SEVERITY[one.severity])
    text.append(f"{line(one.rule)[:24]:<25}", "bold")
    text.append(f"{place:<{rest}} ")
    text.append(f"{entry.grade:<14}", "green" if entry.grade == "verified" else "dim")
    text.append(f"{status:<14}", STATUS.get(status, ""))
    text.truncate(width, overflow="ellipsis")
    return text


def about(entry: Entry) -> Iterator[Text]:
    """The finding in words: place, message, what was decided, the evidence of its fix, who wrote that."""
    outcome, one = entry.outcome, entry.outcome.finding
    place = f"  {line(one.path)}:{one.span.line}  {line(one.scope)}"
    yield Text.assemble((one.severity.value, SEVERITY[one.severity]), " ", (line(one.rule), "bold"), place)
    yield Text(line(one.message))
    for place in one.related:
        yield Text(f"see {line(place.path)}:{place.line}: {line(place.message)}", "dim")
    if one.sources:
        yield Text(f"seen by {line(', '.join(one.sources))}", "dim")
    if entry.mark is not Mark.OPEN or entry.applied:
        where = f", applied to {entry.applied}" if entry.applied else ""
        why = f": {line(entry.reason)}" if entry.reason else ""
        muting = f" ({entry.muting.value})" if entry.muting.value != "nothing" else ""
        yield Text(f"{entry.status}{muting}{why}{where}", STATUS.get(entry.status, ""))
    if outcome.verdict and outcome.status is Status.FIXED:
        yield Text(line(evidence_line(outcome.verdict)), "green" if entry.grade == "verified" else "yellow")
    elif outcome.reason or outcome.status is not Status.FIXED:
        yield Text(f"{outcome.status.value}: {line(outcome.reason)}" if outcome.reason else outcome.status.value, "yellow")
    if outcome.patch:
        spent = spend_line(outcome.spend) if outcome.spend else ""
        words = [f"fix by {line(outcome.patch['origin'])}", line(spent), "tried in this review" * entry.revised]
        yield Text(", ".join(filter(None, words)), "dim")


# Diffs


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a diff. ``kind`` is `` ``, ``-``, ``+``, ``!`` (a changed line, both sides) or ``@`` (a heading, in ``old``)."""

    kind: str
    old: Text
    new: Text
    numbers: tuple[int, int] = (0, 0)


def rows(changed: Sides) -> Iterator[Row]:
    """The lines of a diff of some files, the sides paired."""
    for path, (before, after) in sorted(changed.items()):
        yield Row("@", Text(line(path), "bold"), Text())
        old, new = _lines(path, before), _lines(path, after)
        matcher = difflib.SequenceMatcher(None, [one.plain for one in old], [one.plain for one in new], autojunk=False)
        for number, group in enumerate(matcher.get_grouped_opcodes(_CONTEXT)):
            if number or group[0][1]:
                yield Row("@", Text(f"line {group[0][3] + 1}", "dim"), Text())
            for kind, first, last, start, end in group:
                yield from _paired(kind, old[first:last], new[start:end], first + 1, start + 1)


def _paired(kind: str, old: Sequence[Text], new: Sequence[Text], first: int, start: int) -> Iterator[Row]:
    for index, (left, right) in enumerate(zip_longest(old, new)):
        numbers = first + index, start + index
        if kind == "equal" and left is not None and right is not None:
            yield Row(" ", left, right, numbers)
        elif left is not None and right is not None:
            yield Row("!", left, right, numbers)
        elif left is not None:
            yield Row("-", left, Text(), numbers)
        elif right is not None:
            yield Row("+", Text(), right, numbers)


def unified(lines: Sequence[Row]) -> Iterator[Text]:
    """One below the other: what goes before what comes."""
    held: list[Text] = []
    for one in lines:
        if one.kind in "!+":
            held.append(_marked("+", one.new, one.numbers[1]))
        if one.kind in "!-":
            yield _marked("-", one.old, one.numbers[0])
        if one.kind in " @":
            yield from held
            held.clear()
            yield _marked(" ", one.new, one.numbers[1]) if one.kind == " " else one.old
    yield from held


def side_by_side(lines: Sequence[Row], width: int) -> Iterator[Text]:
    """Old on the left, new on the right, in so many columns."""
    half = max(20, (width - 1) // 2)
    for one in lines:
        if one.kind == "@":
            yield one.old
            continue
        left = _marked("-" if one.kind in "!-" else " ", one.old, one.numbers[0]) if one.kind != "+" else Text()
        right = _marked("+" if one.kind in "!+" else " ", one.new, one.numbers[1]) if one.kind != "-" else Text()
        left.truncate(half, overflow="ellipsis", pad=True)
        right.truncate(half, overflow="ellipsis")
        yield Text.assemble(left, "|", right, no_wrap=True)


def _marked(sign: str, code: Text, number: int) -> Text:
    text = Text(no_wrap=True)
    text.append(f"{number:>5} ", "dim")
    text.append(f"{sign} ", {"+": "bold green", "-": "bold red"}.get(sign, ""))
    text.append_text(code)
    if sign != " ":
        text.stylize(_NEW if sign == "+" else _OLD)
    return text


def _lines(path: str, data: bytes) -> list[Text]:
    """The lines of a file with syntax colour, without anything that a terminal would obey."""
    text = clean(data.decode("utf-8", "replace").replace("\r\n", "\n")).replace("\t", _TAB)
    if not text:
        return []
    lines = text.removesuffix("\n").split("\n")
    lexer = "python" if path.endswith((".py", ".pyw")) else "toml" if path.endswith(".toml") else ""
    if not lexer or len(text) > _COLOURED:
        return [Text(one) for one in lines]
    coloured = Syntax("", lexer, theme="ansi_dark").highlight(text)
    shown = list(coloured.split("\n", allow_blank=True))
    return shown[: len(lines)] if [one.plain for one in shown[: len(lines)]] == lines else [Text(one) for one in lines]


def fix_lines(entry: Entry, changed: Sides, data: bytes, width: int, *, wide: bool) -> list[Text]:
    """The entry's fix as a diff; where it has none, the code around the finding in its file's ``data``."""
    if changed:
        made = list(rows(changed))
        return list(side_by_side(made, width) if wide else unified(made))
    if entry.outcome.patch:
        return [Text(one, no_wrap=True) for one in clean(entry.outcome.patch["diff"]).replace("\t", _TAB).splitlines()]
    return [Text("no fix; the code:", "dim"), *source(entry.outcome.finding, data, 5)]


def source(finding: Finding, data: bytes, around: int | None = 12) -> list[Text]:
    """The code around a finding, its lines marked; all of the file when ``around`` is None."""
    lines = _lines(finding.path, data)
    first = 1 if around is None else max(1, finding.span.line - around)
    last = len(lines) if around is None else min(len(lines), finding.span.end_line + around)
    shown: list[Text] = []
    for number in range(first, last + 1):
        here = finding.span.line <= number <= finding.span.end_line
        text = Text.assemble((f"{'>' if here else ' '}{number:>5} ", "bold" if here else "dim"), no_wrap=True)
        shown.append(text.append_text(lines[number - 1]))
    return shown or [Text("the file cannot be shown", "dim")]


def page(finding: Finding) -> str:
    """The Markdown page of the finding's rule."""
    from fixbot.detectors.registry import all_rules

    known = all_rules().get(finding.rule)
    return known.page.read_text("utf-8") if known else f"`{line(finding.rule)}` is not a rule of fixbot's own."
