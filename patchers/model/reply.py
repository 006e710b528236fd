"""Read a model's reply: search/replace blocks, unified diffs or JSON become replacements, anything else is refused with the reason.

A reply is data. Nothing of it is applied here; line numbers in it are ignored, and paths are only names until the gate has seen them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pydantic import BaseModel, ConfigDict, ValidationError

MAX_REPLY = 256 * 1024  # characters; forty changed lines and their surroundings need a hundredth of that
MAX_REPLACEMENTS = 40
_MAX_QUOTE = 400  # lines

_OPEN = re.compile(r"^([ \t]*)<{5,9} ?(?:SEARCH|ORIGINAL|HEAD)?\s*$")
_MIDDLE = re.compile(r"^\s*={5,9}\s*$")
_CLOSE = re.compile(r"^\s*>{5,9} ?(?:REPLACE|UPDATED)?\s*$")
_FENCE = re.compile(r"^\s*(`{3,}|~{3,})\s*(.*?)\s*$")
_PATH = re.compile(r"^[\w.@+-]+(?:/[\w.@+ -]+)*$|^[/.~][^\s]*$")
_ABSTAIN = re.compile(r"^[^\w\n]*ABSTAIN\b[\s:.*_-]*(.*)", re.MULTILINE | re.DOTALL)
_NUMBERED = re.compile(r"^ *\d+\| ?")
_HUNK = re.compile(r"^@@(?: -\d+(?:,\d+)? \+\d+(?:,\d+)?)? ?@@(.*)|^@@(.*)$")
_REFUSED_HEADERS = ("rename ", "copy ", "deleted file", "new file", "old mode", "new mode", "GIT binary patch", "Binary files")


class EditError(Exception):
    """The reply cannot be used; the text says why, in words that the model can act on."""


@dataclass(frozen=True, slots=True)
class Replacement:
    """Whole lines of a file, as the model quotes them, and the lines that take their place. Line ends are LF."""

    path: str
    search: str
    replace: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a reply says: replacements, or why the model will not make any."""

    replacements: tuple[Replacement, ...] = ()
    abstained: str = ""


class _JsonEdit(BaseModel):
    model_config = ConfigDict(extra="forbid")
    path: str
    search: str
    replace: str


class _JsonReply(BaseModel):
    """The shape asked of endpoints that enforce a schema."""

    model_config = ConfigDict(extra="forbid")
    edits: list[_JsonEdit]
    abstain: str


def reply_schema() -> dict[str, object]:
    """The JSON schema for endpoints that enforce one."""
    return _JsonReply.model_json_schema()


def read_reply(text: str, default_path: str) -> Answer:
    """The replacements of a reply. ``default_path`` is meant where a block names no file. Raises EditError."""
    if len(text) > MAX_REPLY:
        raise EditError(f"the reply has {len(text)} characters, more than {MAX_REPLY}")
    lines = _lines(text)
    found = _json(text)
    if isinstance(found, Answer):
        return found
    found = found or _blocks(lines, default_path) or _diffs(lines)
    if not found:
        reason = abstention(text)
        if reason:
            return Answer(abstained=reason)
        raise EditError("the reply holds no edit: answer with search/replace blocks, or with one line `ABSTAIN: reason`")
    if len(found) > MAX_REPLACEMENTS:
        raise EditError(f"the reply holds {len(found)} edits, more than {MAX_REPLACEMENTS}")
    for one in found:
        if not one.search.strip():
            raise EditError(
                f"{one.path[:200] or default_path}: an edit quotes no existing line; quote the lines that it replaces or follows"
            )
        if one.search.count("\n") >= _MAX_QUOTE:
            raise EditError(f"{one.path[:200]}: an edit quotes {one.search.count(chr(10)) + 1} lines; quote only those that change")
    return Answer(tuple(dict.fromkeys(found)))


def _lines(text: str) -> list[str]:
    return re.split(r"\r\n|\r|\n", text)


def abstention(text: str) -> str:
    """The reason of a reply that declines the task, ``""`` when it does not."""
    found = _ABSTAIN.search(text)
    return (_sentence(found[1]) or "the model gives no reason") if found else ""


def _sentence(text: str) -> str:
    return " ".join(text.partition("\n\n")[0].split())[:500]


def _json(text: str) -> Answer | list[Replacement] | None:
    """The edits of a whole JSON object, bare or in a fence, or its abstention; None when the reply is no such thing."""
    body = text.strip()
    fenced = re.fullmatch(r"```(?:json)?\s*\n(.*)\n```", body, re.DOTALL)
    body = fenced[1].strip() if fenced else body
    if not body.startswith("{"):
        return None
    try:
        reply = _JsonReply.model_validate(json.loads(body))
    except (ValueError, RecursionError, ValidationError):
        return None
    if not reply.edits:
        return Answer(abstained=_sentence(reply.abstain) or "the model gives no reason")
    return [Replacement(_normal(one.path), _block(_lines(one.search)), _block(_lines(one.replace.rstrip("\r\n")))) for one in reply.edits]


# Search/replace blocks


def _blocks(lines: Sequence[str], default_path: str) -> list[Replacement]:
    found: list[Replacement] = []
    path = default_path
    index = 0
    while index < len(lines):
        opened = _OPEN.match(lines[index])
        if not opened:
            index += 1
            continue
        path = _named_before(lines, index) or path
        close = _next(_CLOSE, lines, index + 1)
        if not close or any(_OPEN.match(line) for line in lines[index + 1 : close]):
            raise EditError("a search/replace block is not closed: the reply seems to be cut off")
        middle = _middle(lines, index, close, opened[1])
        found.append(Replacement(path, _block(lines[index + 1 : middle]), _block(lines[middle + 1 : close])))
        index = close + 1
    return found


def _middle(lines: Sequence[str], start: int, close: int, indent: str) -> int:
    """Where the two sides of a block part. Of several lines of ``=`` it is the one that looks like the block's other marks."""
    found = [index for index in range(start + 1, close) if _MIDDLE.match(lines[index])]
    if len(found) > 1:
        found = [index for index in found if lines[index].rstrip() == f"{indent}======="]
    if not found:
        raise EditError("a search/replace block has no line `=======` between its two sides")
    if len(found) > 1:
        raise EditError("a search/replace block holds more than one line `=======`; quote lines without such a line, or answer with a diff")
    return found[0]


def _next(pattern: re.Pattern[str], lines: Sequence[str], start: int) -> int | None:
    return next((index for index in range(start, len(lines)) if pattern.match(lines[index])), None)


def _block(lines: Sequence[str]) -> str:
    """The lines of one side, without the line numbers that a model may have copied."""
    if any(line.strip() for line in lines) and all(_NUMBERED.match(line) or not line.strip() for line in lines):
        lines = [_NUMBERED.sub("", line) for line in lines]
    return "\n".join(lines)


def _named_before(lines: Sequence[str], index: int) -> str:
    """The file named on the lines before a block: above the fence, in its info string or below it. "" when there is none."""
    for line in reversed(lines[max(0, index - 3) : index]):
        if not line.strip():
            continue
        if _CLOSE.match(line):
            return ""
        fence = _FENCE.match(line)
        name = _path(re.split(r"[\s:=]", fence[2])[-1] if fence else line)
        if name and re.search(r"\.\w|^[^ ]*/[^ ]*$", name):
            return _normal(name)
    return ""


def _path(text: str) -> str:
    """A path in its usual decorations (`x`, **x**, # x, File: x, x:), or ""."""
    bare = re.sub(r"^(?:[#>*\-\s]*)(?:file(?:name)?|path)?\s*:?\s*", "", text.strip(), flags=re.IGNORECASE).strip("`*\"': ")
    return bare if bare and _PATH.match(bare) else ""


def _normal(path: str) -> str:
    return path.removeprefix("./")


# Unified diffs


def _diffs(lines: Sequence[str]) -> list[Replacement]:
    """The hunks of every diff in the text. The counts in hunk headers, which models get wrong, are made right before unidiff reads them."""
    start = next((index for index, (one, two) in enumerate(pairwise(lines)) if one.startswith("--- ") and two.startswith("+++ ")), None)
    if start is None:
        if any(line.startswith("@@") for line in lines):
            raise EditError("a diff needs its `--- a/path` and `+++ b/path` lines")
        return []
    start = next((index for index, line in enumerate(lines[:start]) if line.startswith("diff --git ")), start)
    if any(line.startswith(_REFUSED_HEADERS) for line in lines[start:]):
        raise EditError("a diff may only change lines of existing files: no new, deleted, renamed, copied or binary files, no modes")
    from unidiff.errors import UnidiffParseError
    from unidiff.patch import PatchSet

    text = "\n".join(_mended(lines[start:])) + "\n"
    try:
        patch = PatchSet.from_string(text)
    except (UnidiffParseError, ValueError) as error:
        raise EditError(f"the diff cannot be read: {str(error).splitlines()[0][:200]}") from None
    found: list[Replacement] = []
    for file in patch:
        if not len(file):
            raise EditError(f"the diff of {file.path} has no hunks")
        if "/dev/null" in (file.source_file, file.target_file) or _bare(file.source_file) != _bare(file.target_file):
            raise EditError("a diff may only change lines of existing files")
        for hunk in file:
            old = [line.value.rstrip("\n") for line in hunk.source_lines()]
            new = [line.value.rstrip("\n") for line in hunk.target_lines()]
            found.append(Replacement(_bare(file.target_file), "\n".join(old), "\n".join(new)))
    return found


def _bare(name: str) -> str:
    return _normal(name[2:] if name.startswith(("a/", "b/")) else name)


def _mended(lines: Iterable[str]) -> Iterator[str]:
    """The diff's own lines: headers, hunks with right counts, context lines whose leading space was lost."""
    hunk: list[str] | None = None
    for line, following in pairwise([*lines, "```", ""]):
        header = _HUNK.match(line)
        file = line.startswith("--- ") and following.startswith("+++ ")  # else a removed line that begins with two dashes
        ends = header or file or line.startswith(("diff -", "```", "~~~"))
        if hunk is not None and ends:
            yield from _counted(hunk)
            hunk = None
        if header:
            hunk = []
        elif hunk is not None:
            hunk.append(line if line[:1] in (" ", "+", "-", "\\") and line else f" {line}")
        elif line.startswith(("--- ", "+++ ")):
            yield line.rstrip()


def _counted(hunk: list[str]) -> Iterator[str]:
    while hunk and not hunk[-1].strip():
        hunk.pop()
    body = [line for line in hunk if not line.startswith("\\")]
    old = sum(line[0] in " -" for line in body)
    new = sum(line[0] in " +" for line in body)
    yield f"@@ -1,{old} +1,{new} @@"
    yield from body
