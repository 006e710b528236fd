"""The smallest edits that turn one version of a file into another."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator

from fixbot.patchers.patch import Edit

_LINE = re.compile(rb"[^\n]*\n|[^\n]+$")


def edits_between(path: str, old: bytes, new: bytes) -> tuple[Edit, ...]:
    """Edits, one a run of changed lines, each cut down to the bytes that differ inside those lines."""
    old_lines, new_lines = _LINE.findall(old), _LINE.findall(new)
    offsets = [0]
    for line in old_lines:
        offsets.append(offsets[-1] + len(line))
    return tuple(
        _trimmed(path, offsets[first], b"".join(old_lines[first:last]), b"".join(new_lines[new_first:new_last]))
        for first, last, new_first, new_last in _changes(old_lines, new_lines)
    )


def new_lines(old: bytes, new: bytes) -> frozenset[int]:
    """The numbers of the lines of ``new`` that are not in ``old``."""
    changes = _changes(_LINE.findall(old), _LINE.findall(new))
    return frozenset(number for _, _, first, last in changes for number in range(first + 1, last + 1))


def unified(path: str, old: bytes, new: bytes, context: int = 3, errors: str = "replace") -> str:
    """The change as ``git diff`` shows it, without the index line; undecodable bytes as ``errors`` says, U+FFFD unless told."""
    before, after = ([line.decode("utf-8", errors) for line in _LINE.findall(data)] for data in (old, new))
    diff = difflib.unified_diff(before, after, f"a/{path}", f"b/{path}", n=context)
    return "".join(row if row.endswith("\n") else row + "\n\\ No newline at end of file\n" for row in diff)


def _changes(old: list[bytes], new: list[bytes]) -> Iterator[tuple[int, int, int, int]]:
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    tail = 0
    while tail < min(len(old), len(new)) - start and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    matcher = difflib.SequenceMatcher(None, old[start : len(old) - tail], new[start : len(new) - tail], autojunk=False)
    for kind, first, last, new_first, new_last in matcher.get_opcodes():
        if kind != "equal":
            yield start + first, start + last, start + new_first, start + new_last


def _trimmed(path: str, offset: int, old: bytes, new: bytes) -> Edit:
    head = 0
    while head < min(len(old), len(new)) and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < min(len(old), len(new)) - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    return Edit(path, offset + head, offset + len(old) - tail, new[head : len(new) - tail].decode("latin-1"))
