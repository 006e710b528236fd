"""The patch: which bytes of which files change, against which base. Plain data that survives JSON."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from fixbot.detectors.finding import Safety


class Origin(StrEnum):
    """Who made a patch."""

    CODEMOD = "codemod"
    MODEL = "model"
    PERSON = "person"


@dataclass(frozen=True, slots=True, order=True)
class Edit:
    """Bytes ``start`` to ``end`` of the base file are replaced by ``new``. Offsets count in the base, so edits do not shift each other."""

    path: str
    start: int
    end: int
    new: str  # latin-1 view of the bytes, so that JSON keeps them as they are

    @property
    def data(self) -> bytes:
        """The new bytes."""
        return self.new.encode("latin-1")


@dataclass(frozen=True, slots=True)
class Patch:
    """The fix of one finding. ``bases`` are the git blob ids (sha1) of the files that ``edits`` count their offsets in."""

    finding: str
    rule: str
    origin: Origin
    safety: Safety
    bases: Mapping[str, str]
    edits: tuple[Edit, ...]

    @property
    def paths(self) -> tuple[str, ...]:
        """The files that change, sorted."""
        return tuple(sorted({edit.path for edit in self.edits}))

    def to_json(self) -> dict[str, Any]:
        """A JSON object that ``patch_from_json`` reads back."""
        return {
            "finding": self.finding,
            "rule": self.rule,
            "origin": self.origin.value,
            "safety": self.safety.value,
            "bases": dict(self.bases),
            "edits": [[edit.path, edit.start, edit.end, edit.new] for edit in self.edits],
        }


def patch_from_json(data: Mapping[str, Any]) -> Patch:
    """The inverse of ``Patch.to_json``. Raises KeyError, TypeError or ValueError on data of another shape."""
    return Patch(
        finding=data["finding"],
        rule=data["rule"],
        origin=Origin(data["origin"]),
        safety=Safety(data["safety"]),
        bases=data["bases"],
        edits=tuple(Edit(*entry) for entry in data["edits"]),
    )


def blob_id(data: bytes) -> str:
    """The id that git gives a file with these bytes (sha1)."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


class ConflictError(Exception):
    """Two patches change the same bytes, or a file is not what a patch was made for."""


def conflicts(one: Patch, other: Patch) -> bool:
    """Whether two patches of the same base cannot both be applied. The same insertion (an import that both need) is no conflict."""
    return any(_clash(mine, theirs) for mine in one.edits for theirs in other.edits)


def _clash(one: Edit, other: Edit) -> bool:
    if one.path != other.path or one == other:
        return False
    insertions = one.start == one.end and other.start == other.end
    if insertions and (_adds_entries(one) or _adds_entries(other)):
        return False  # at one place both are kept, in the order of ``in_order``
    first, second = in_order((one, other))
    return second.start < first.end or second.start == first.start


def in_order(edits: Iterable[Edit]) -> list[Edit]:
    """Edits of one file in the order of their places; at one place, lines whose order means nothing come first, by their text."""
    return sorted(edits, key=lambda edit: (edit.start, edit.end, not _adds_entries(edit), edit.new))


def _adds_entries(edit: Edit) -> bool:
    """Whether an edit only inserts lines whose order means nothing: whole imports, requirements in a text file."""
    if edit.start != edit.end or edit.new.startswith("\n") == edit.new.endswith("\n"):
        return False
    return edit.path.endswith((".txt", ".in")) or all(line.startswith(("import ", "from ")) for line in edit.new.splitlines() if line)


def apply_patches(patches: Iterable[Patch], files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The changed files after a set of patches of one base, in whatever order they are given.

    ``files`` holds the base content by path. Raises ConflictError when two patches clash or a file is not the patches' base.
    """
    edits: defaultdict[str, set[Edit]] = defaultdict(set)
    for patch in patches:
        for path, base in patch.bases.items():
            if path not in files or blob_id(files[path]) != base:
                raise ConflictError(f"{path} is not the file that the fix of {patch.rule} was made for")
        for edit in patch.edits:
            edits[edit.path].add(edit)
    return {path: apply_edits(files[path], changes) for path, changes in edits.items()}


def apply_edits(base: bytes, edits: Iterable[Edit]) -> bytes:
    """A file's bytes after edits that all count in its base. Raises ConflictError when they overlap or leave the file."""
    pieces: list[bytes] = []
    position = 0
    for edit in in_order(edits):
        if edit.start < position or edit.end < edit.start or edit.end > len(base):
            raise ConflictError(f"{edit.path}: edits overlap at byte {edit.start}")
        pieces += [base[position : edit.start], edit.data]
        position = edit.end
    return b"".join((*pieces, base[position:]))
