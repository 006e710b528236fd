"""What the lines and the code of one entry of a bug report say, sorted by kind."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from fixbot.detectors.engines.report_structure import Block
from fixbot.detectors.engines.report_text import (
    Place,
    label,
    label_kind,
    names_many,
    places,
    prose_lines,
    quotes,
    ranges,
    severity_of,
    sides,
)
from fixbot.detectors.finding import Severity

MAX_TEXT = 2000
MAX_PLACES = 20
_SHELL = frozenset({"bash", "sh", "shell", "console", "zsh", "text", "txt", "log", "json", "mermaid", "output", "plaintext", "powershell"})
_FRAME = re.compile(r'^\s*File "[^"\n]{1,300}", line \d+')
_IN_CODE = re.compile(r"(?i)^\s*(?:#|//|--)\s*(?:in\s+)?(?:file|path|location)s?\s*:\s*(?P<rest>.+)$")


@dataclass(slots=True)
class Draft:
    """What the blocks of one entry say."""

    files: list[Place] = field(default_factory=list[Place])  # named by a field
    coded: list[Place] = field(default_factory=list[Place])  # named by a comment in quoted code
    frames: list[Place] = field(default_factory=list[Place])  # of a traceback
    lined: list[Place] = field(default_factory=list[Place])  # anywhere, with a line
    named: list[Place] = field(default_factory=list[Place])  # anywhere, without
    lines: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    severity: Severity | None = None
    weight: Severity | None = None
    many: bool = False
    fields: set[str] = field(default_factory=set[str])
    code: dict[str, list[str]] = field(default_factory=lambda: {"problem": [], "fix": [], "": []})
    quotes: list[str] = field(default_factory=list[str])
    text: list[str] = field(default_factory=list[str])

    def stated(self) -> tuple[Place, ...]:
        """The places that count: those of the surest kind, with the lines that are given apart from the path."""
        named = self.files or self.coded or self.lined or self.frames[-1:] or self.named
        if self.many and not self.files:
            named = [*self.coded, *self.lined] or self.named
        known = {one.path for one in named if one.line}
        named = [better for one in named for better in self._lined(one)] if not known else named
        unique = dict.fromkeys(one for one in named if one.line or one.path not in known)
        if len({one.path for one in unique}) == 1 and not any(one.line for one in unique) and self.lines:
            path = next(iter(unique)).path
            return tuple(Place(path, *pair) for pair in self.lines)
        return tuple(unique)[:MAX_PLACES]

    def _lined(self, place: Place) -> list[Place]:
        return [one for one in (*self.coded, *self.lined) if one.path == place.path and one.line] or [place]

    def quoted(self) -> tuple[str, str]:
        """Problem and fix; of two pieces of code without a role the first is the problem, the other the fix."""
        problem, fix, loose = self.code["problem"], self.code["fix"], list(self.code[""])
        if loose and not problem:
            problem = [loose.pop(0)]
        if len(loose) == 1 and not fix:
            fix = [loose.pop(0)]
        return cut("\n\n".join((*problem, *loose))), cut("\n\n".join(fix))


def read_draft(blocks: Sequence[Block]) -> Draft:
    """Read an entry's blocks in order; a label counts until the next one."""
    draft = Draft()
    role = within = ""
    for block in blocks:
        if block.kind == "code":
            draft.text.append(block.text.rstrip("\n"))
            _read_code(draft, block, role)
            continue
        lines = [f"{column}: {cell}" for column, cell in _cells(block)] if block.kind == "row" else [block.text]
        draft.text.append(block.text)
        for line in lines:
            kind, rest = label(line)
            open_list = (kind == "file" and not rest) or (within == "files below" and not kind and any(places(line)))
            within = "files below" if open_list else kind
            role = kind if kind in ("problem", "fix") else "" if kind in ("impact", "status") else role
            _read_line(draft, "file" if open_list else kind, rest, role)
    return draft


def _cells(block: Block) -> Iterator[tuple[str, str]]:
    """A row as fields; in a table of two columns without a known heading the first cell is the field's name."""
    if len(block.cells) == 2 and not any(label_kind(column) for column, _ in block.cells):
        (_, name), (_, value) = block.cells
        yield name, value
    else:
        yield from block.cells


def _read_line(draft: Draft, kind: str, rest: str, role: str) -> None:
    found = list(places(rest))
    if kind and (kind != "file" or found or names_many(rest)):
        draft.fields.add(kind)
    if kind == "file":
        draft.files += found
        draft.many = draft.many or names_many(rest)
    elif role != "fix":
        draft.lined += [one for one in found if one.line]
        draft.named += [one for one in found if not one.line]
    if kind == "severity":
        draft.severity = draft.severity or severity_of(rest)
    elif kind in ("impact", "status"):
        draft.weight = draft.weight or severity_of(rest.split(" - ")[0])
    if kind == "line":
        draft.lines = ranges(rest)
    elif not draft.lines and not any(one.line for one in found) and role != "fix":
        draft.lines = prose_lines(rest)
    if role != "fix":
        draft.quotes += quotes(rest)


def _read_code(draft: Draft, block: Block, role: str) -> None:
    for line in block.text.split("\n"):
        comment = _IN_CODE.match(line)
        if comment:
            draft.coded += places(comment["rest"])
            draft.many = draft.many or names_many(comment["rest"])
            draft.fields.add("coded")
        elif _FRAME.match(line):
            draft.frames += places(line)
        elif re.match(r"(?i)\s*#\s*multiple files", line):
            draft.many = True
    if block.info in ("diff", "patch") or re.search(r"^@@ .*@@", block.text, re.MULTILINE):
        rows = [row for row in block.text.split("\n") if not row.startswith(("+++", "---", "@@", "diff ", "index "))]
        draft.coded += [one for row in block.text.split("\n") if row.startswith("--- ") for one in places(re.sub(r"^--- (?:a/)?", "", row))]
        draft.code["problem"].append("\n".join(row[1:] for row in rows if not row.startswith("+")))
        draft.code["fix"].append("\n".join(row[1:] for row in rows if not row.startswith("-")))
    elif block.info not in _SHELL:
        for side, part in sides(block.text, role):
            draft.code[side or ("problem" if "❌" in part else "fix" if "✅" in part else "")].append(part.rstrip("\n"))


def cut(text: str) -> str:
    """A text, cut to what a finding carries of it."""
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 4] + "\n..."
