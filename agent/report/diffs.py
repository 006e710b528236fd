"""The rows of a unified diff, with line numbers and what changed inside a line, for those who draw it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import groupby

_HUNK = re.compile(r"@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@")
_ALIKE = 0.4
"""Share of the shorter of two lines that must be common to both before the rest is marked."""


class Kind(StrEnum):
    """What a row is: ``NOTE`` is git's remark that a file has no newline at its end, or text outside every hunk."""

    FILE = "file"
    HUNK = "hunk"
    SAME = "same"
    REMOVED = "removed"
    ADDED = "added"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Row:
    """A row. ``text`` is without its sign; ``old`` and ``new`` are line numbers, 0 where there is none.

    ``marked`` is the stretch of ``text`` that differs from its partner on the other side, (0, 0) where there is none.
    """

    kind: Kind
    text: str
    old: int = 0
    new: int = 0
    marked: tuple[int, int] = (0, 0)

    @property
    def parts(self) -> tuple[str, str, str]:
        """The text before, in and after the marked stretch."""
        first, last = self.marked
        return self.text[:first], self.text[first:last], self.text[last:]


def rows(diff: str) -> Iterator[Row]:
    """The rows of a diff; one that is damaged gives notes, no error."""
    for changed, some in groupby(_plain(diff.removesuffix("\n").split("\n")), lambda row: row.kind in (Kind.REMOVED, Kind.ADDED)):
        group = list(some)
        yield from _marked(group) if changed else group


def _plain(lines: Iterable[str]) -> Iterator[Row]:
    old = new = old_left = new_left = 0
    for text in lines:
        sign, rest = text[:1], text[1:]
        if sign == "+" and new_left:
            yield Row(Kind.ADDED, rest, 0, new)
            new, new_left = new + 1, new_left - 1
        elif sign == "-" and old_left:
            yield Row(Kind.REMOVED, rest, old)
            old, old_left = old + 1, old_left - 1
        elif sign in (" ", "") and old_left and new_left:
            yield Row(Kind.SAME, rest, old, new)
            old, new, old_left, new_left = old + 1, new + 1, old_left - 1, new_left - 1
        elif match := _HUNK.match(text):
            old, old_left, new, new_left = (int(part or 1) for part in match.groups())
            yield Row(Kind.HUNK, text)
        elif text.startswith("+++ "):
            yield Row(Kind.FILE, text[4:].removeprefix("b/"))
        elif text and not text.startswith("--- "):
            yield Row(Kind.NOTE, text)


def _marked(some: Sequence[Row]) -> Iterator[Row]:
    """Removed and added rows of one change; where they pair up, what differs inside each pair is marked."""
    removed = [row for row in some if row.kind is Kind.REMOVED]
    added = [row for row in some if row.kind is Kind.ADDED]
    if len(removed) != len(added):
        yield from some
        return
    pairs = [_difference(before, after) for before, after in zip(removed, added, strict=True)]
    yield from (before for before, _ in pairs)
    yield from (after for _, after in pairs)


def _difference(before: Row, after: Row) -> tuple[Row, Row]:
    one, two = before.text, after.text
    shorter = min(len(one), len(two))
    head = next((index for index in range(shorter) if one[index] != two[index]), shorter)
    tail = next((index for index in range(shorter - head) if one[-1 - index] != two[-1 - index]), shorter - head)
    if head + tail < _ALIKE * max(shorter, 1):
        return before, after
    return replace(before, marked=(head, len(one) - tail)), replace(after, marked=(head, len(two) - tail))
