"""Which fixes of a run stand on which: any subset that holds what it needs can be applied without the others.

A run's later patches were made for files that its earlier ones had already changed. Here every byte of a file knows which patches put it
there and which took it away, so that the file can be had with any of them left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from fixbot.patchers.patch import ConflictError, Edit, Patch, blob_id, in_order

_WORD = re.compile(rb"[^\W\d]\w*")
_IMPORT = re.compile(rb"^[ \t]*(?:import|from)\b.*", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Piece:
    """Bytes that ``made_by`` put there (nobody: the base's), and that ``gone_by`` took away (nobody: still there)."""

    data: bytes
    made_by: frozenset[int] = frozenset()
    gone_by: frozenset[int] = frozenset()


class _Known:
    """The words of a base file: all of them, and those of its imports."""

    def __init__(self, base: bytes) -> None:
        self.words, self.imported = _words(base), _words(b"\n".join(_IMPORT.findall(base)))


@dataclass(slots=True)
class Layers:
    """Patches over base files. ``patches`` are in an order in which they can be applied; ``needs`` has the numbers that each stands on."""

    base: Mapping[str, bytes]
    patches: list[Patch] = field(default_factory=list[Patch])
    needs: list[frozenset[int]] = field(default_factory=list[frozenset[int]])
    _pieces: dict[str, list[_Piece]] = field(default_factory=dict[str, list[_Piece]])

    def closure(self, wanted: Iterable[int]) -> frozenset[int]:
        """The wanted patches with all that they need."""
        found: set[int] = set()
        pending = list(wanted)
        while pending:
            number = pending.pop()
            if number not in found:
                found.add(number)
                pending.extend(self.needs[number])
        return frozenset(found)

    def content(self, chosen: Collection[int]) -> dict[str, bytes]:
        """The files that the chosen patches, which must hold what they need, change: their new bytes."""
        return {path: self._text(path, frozenset(chosen)) for path in self._paths(chosen)}

    def steps(self, chosen: Collection[int]) -> Iterator[tuple[int | None, dict[str, bytes]]]:
        """The chosen patches one after the other, each with the files that it changes: their bytes after it.

        So that each step can be left out, new imports that several of them need come first: as a step of no patch (None), or with the
        patch that is nothing but that import.
        """
        order = sorted(chosen, key=lambda number: (bool(self.needs[number]) or not self._imports_only(number), number))
        some, alone = frozenset(chosen), frozenset(filter(self._imports_only, chosen))

        def first(piece: _Piece) -> bool:
            return len(piece.made_by & some) > 1 and not piece.made_by & alone and _is_import(piece.data)

        before = {path: self.base[path] for path in self._paths(chosen)}
        for done, number in enumerate((None, *order)):
            after = {path: self._text(path, frozenset(order[:done]), first) for path in before}
            changed = {path: data for path, data in after.items() if data != before[path]}
            before |= changed
            if changed or number is not None:
                yield number, changed

    def _imports_only(self, number: int) -> bool:
        return all(edit.start == edit.end and _is_import(edit.data) for edit in self.patches[number].edits)

    def _paths(self, chosen: Iterable[int]) -> list[str]:
        return sorted({path for number in chosen for path in self.patches[number].paths})

    def _text(self, path: str, chosen: frozenset[int], first: Callable[[_Piece], bool] = lambda piece: False) -> bytes:
        """A file with the chosen patches, and with those pieces that are to come ``first``."""
        there = (one for one in self._pieces[path] if (not one.made_by or one.made_by & chosen or first(one)) and not one.gone_by & chosen)
        return b"".join(one.data for one in there)

    def now(self, path: str) -> bytes:
        """A file with all patches so far."""
        return b"".join(one.data for one in self._pieces[path] if not one.gone_by)

    def add(self, patches: Sequence[Patch]) -> None:
        """Add patches that were made for the files as they are ``now``. Raises ConflictError for two that clash."""
        first = len(self.patches)
        owners: dict[Edit, frozenset[int]] = {}
        for number, patch in enumerate(patches, first):
            for edit in patch.edits:
                owners[edit] = owners.get(edit, frozenset()) | {number}
        needs: dict[int, set[int]] = {number: set() for number in range(first, first + len(patches))}
        for path in {edit.path for edit in owners}:
            edits = in_order(one for one in owners if one.path == path)
            now, known = self.now(path), _Known(self.base[path])
            for edit in edits:
                stands_on = self._stands_on(edit, owners[edit], now, known)
                for number in owners[edit]:
                    needs[number] |= stands_on
            shift, position = 0, 0
            for edit in edits:
                if edit.start < position:
                    raise ConflictError(f"{path}: edits overlap at byte {edit.start}")
                position = edit.end
                self._replace(edit, shift, owners[edit])
                shift += len(edit.data) - (edit.end - edit.start)
        self.patches += patches
        self.needs += map(frozenset, needs.values())

    def _stands_on(self, edit: Edit, mine: frozenset[int], now: bytes, known: _Known) -> set[int]:
        """The earlier patches that an edit stands on: those at work on its lines, and those that brought names which it uses.

        Of an import that an earlier patch brought, ``mine`` become owners, too: that takes no more than the import.
        """
        pieces, used = self._pieces[edit.path], _words(edit.data)
        _, near, _ = _cut(pieces, *_lines_around(now, edit))
        found = {number for one in near for number in one.made_by | one.gone_by}
        for index, piece in enumerate(pieces):
            if not piece.made_by or piece.gone_by:
                continue
            if not _is_import(piece.data):
                found |= piece.made_by if used & (_words(piece.data) - known.words) else set()
            elif used & (_words(piece.data) - known.imported):
                pieces[index] = replace(piece, made_by=piece.made_by | mine)
        return found

    def _replace(self, edit: Edit, shift: int, mine: frozenset[int]) -> None:
        before, inside, after = _cut(self._pieces[edit.path], edit.start + shift, edit.end + shift)
        gone = [replace(one, gone_by=one.gone_by or mine) for one in inside]
        self._pieces[edit.path] = [*before, *gone, *([_Piece(edit.data, mine)] if edit.data else []), *after]


def _words(data: bytes) -> frozenset[bytes]:
    return frozenset(_WORD.findall(data))


def _is_import(data: bytes) -> bool:
    """Whether bytes are whole import statements at the top level."""
    return data.endswith(b"\n") and all(line.startswith((b"import ", b"from ")) for line in data.splitlines() if line)


def _lines_around(now: bytes, edit: Edit) -> tuple[int, int]:
    """The stretch that decides what an edit stands on: the lines that it changes.

    For lines inserted in a block these are its neighbours, whose indentation they share; unindented ones, as imports, stand on nothing.
    """
    start, end, new = edit.start, edit.end, edit.data
    first = now.rfind(b"\n", 0, start) + 1
    last = end if start < end and now[end - 1 : end] == b"\n" else now.find(b"\n", end) + 1 or len(now)
    if start == end == first and new.endswith(b"\n"):
        return (now.rfind(b"\n", 0, max(first - 1, 0)) + 1, last) if new[:1].isspace() else (start, start)
    return first, last


def _cut(pieces: Sequence[_Piece], start: int, end: int) -> tuple[list[_Piece], list[_Piece], list[_Piece]]:
    """Pieces before, inside and after a stretch of the file as it is now. What is gone at its edges is not inside."""
    before: list[_Piece] = []
    inside: list[_Piece] = []
    after: list[_Piece] = []
    position = 0
    for piece in pieces:
        if piece.gone_by:
            (before if position <= start else inside if position < end else after).append(piece)
            continue
        size = len(piece.data)
        first, second = (min(max(edge - position, 0), size) for edge in (start, end))
        for part, target in ((piece.data[:first], before), (piece.data[first:second], inside), (piece.data[second:], after)):
            if part:
                target.append(replace(piece, data=part))
        position += size
    return before, inside, after


def layers(patches: Iterable[Patch], base: Mapping[str, bytes]) -> Layers:
    """Put the patches of a run in layers: those of the base first, then those that were made on top of them, until all are in.

    ``base`` holds the content of every file that a patch names. Raises ConflictError for a patch that fits nowhere.
    """
    stack = Layers(base, _pieces={path: [_Piece(data)] if data else [] for path, data in base.items()})
    pending = list(patches)
    while pending:
        now = {path: blob_id(stack.now(path)) for path in base}
        fitting = [patch for patch in pending if all(now.get(path) == blob for path, blob in patch.bases.items())]
        if not fitting:
            names = ", ".join(sorted({path for patch in pending for path in patch.bases}))
            raise ConflictError(f"{names}: not the files that the fixes were made for")
        stack.add(fitting)
        pending = [patch for patch in pending if patch not in fitting]
    return stack
