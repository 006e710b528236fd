"""What fixbot notes down in its own pull requests and its dashboard: the state of delivery lives on the forge, any machine may go on.

It is an HTML comment, which people do not see but may edit or delete: what cannot be read is taken as missing, never as an error.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from collections.abc import Sequence
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

DASHBOARD = "<!-- fixbot dashboard -->"
_MARK = re.compile(r"<!-- fixbot:(pull|memory) ([A-Za-z0-9+/=]{1,60000}) -->")
_MAX_NOTE = 1 << 20  # bytes of JSON
_Note = TypeVar("_Note", bound="Mark | Memory")


class Offered(BaseModel):
    """A fix in a pull request: its finding, and ``code``, a digest of the lines that it replaces."""

    model_config = ConfigDict(frozen=True)
    finding: Annotated[str, Field(pattern=r"^[0-9a-f]{8,64}$")]
    rule: Annotated[str, Field(max_length=100)]
    path: Annotated[str, Field(max_length=4096)]
    code: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]


class Mark(BaseModel):
    """A pull request's own note. ``retired``: fixbot itself closed it, so that nobody has declined what is in it."""

    model_config = ConfigDict(frozen=True)
    version: Literal[1] = 1
    key: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
    base: Annotated[str, Field(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")]
    run: Annotated[str, Field(max_length=100)]
    fixes: Annotated[tuple[Offered, ...], Field(max_length=1000)]
    retired: bool = False


class Memory(BaseModel):
    """The dashboard's note: when each waiting group was first seen, as ``YYYY-MM-DD``."""

    model_config = ConfigDict(frozen=True)
    version: Literal[1] = 1
    first_seen: Annotated[dict[str, Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d$")]], Field(max_length=2000)]


def write_note(note: Mark | Memory) -> str:
    """The comment that holds a note."""
    packed = zlib.compress(note.model_dump_json().encode(), 9)
    return f"<!-- fixbot:{_kind(type(note))} {base64.b64encode(packed).decode()} -->"


def read_note(kind: type[_Note], body: str) -> _Note | None:
    """The first note of a kind in a body; None where there is none that can be read."""
    for found in _MARK.finditer(body):
        if found[1] == _kind(kind):
            try:
                unpacker = zlib.decompressobj()
                data = unpacker.decompress(base64.b64decode(found[2], validate=True), _MAX_NOTE)
                return kind.model_validate(json.loads(data))
            except (binascii.Error, zlib.error, ValidationError, ValueError, RecursionError):
                return None
    return None


def without_notes(body: str) -> str:
    """A body with its notes taken out."""
    return _MARK.sub("", body)


def _kind(note: type[Mark | Memory]) -> str:
    return "pull" if note is Mark else "memory"


def commands(body: str) -> frozenset[str]:
    """The dashboard's boxes that somebody has ticked: ``open KEY``, ``reopen NUMBER``."""
    return frozenset(_TICKED.findall(body))


def box(command: str) -> str:
    """An unticked box, to be followed by its text."""
    return f"- [ ] <!-- fixbot:do {command} -->"


_TICKED = re.compile(r"^\s*[-*] \[[xX]\] <!-- fixbot:do ((?:open [A-Za-z0-9._-]{1,100})|(?:reopen \d{1,12})) -->", re.MULTILINE)


def asks_again(comments: Sequence[str]) -> bool:
    """Whether one of the comments, all by people who may write to the repository, asks to offer a declined fix again."""
    return any(re.search(r"^\s*/fixbot reopen\s*$", text, re.MULTILINE) for text in comments)
