"""The examples on the rules' pages, read as test cases."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fixbot.detectors.registry import Rule

_FENCE = re.compile(r"^```(?P<info>[^\n]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"[ \t]*(?:#|//|--) finding[ \t]*$", re.MULTILINE)
_FILE = re.compile(r"^# file: (\S+)\n", re.MULTILINE)
DEFAULT_FILE = "app.py"


@dataclass(frozen=True, slots=True)
class Example:
    """One example: the files, the marked (path, line) pairs, and the files after the fix where the page shows them."""

    name: str
    files: dict[str, str]
    findings: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    fixed: dict[str, str] | None = None


def examples(one: Rule) -> Iterator[Example]:
    """The examples of a rule's page, in order; those below the heading ``Left alone`` have no findings."""
    page = one.page.read_text("utf-8")
    blocks = [(match["info"].strip(), match["body"], page.count("\n", 0, match.start()) + 1) for match in _FENCE.finditer(page)]
    for index, (info, body, line) in enumerate(blocks):
        if info != "python":
            continue
        following = blocks[index + 1] if index + 1 < len(blocks) else ("", "", 0)
        fixed = _files(following[1]) if following[0] == "python fixed" else None
        files = _files(body)
        marks = [(path, text.count("\n", 0, mark.start()) + 1) for path, text in files.items() for mark in _MARK.finditer(text)]
        clean = {path: _MARK.sub("", text) for path, text in files.items()}
        yield Example(f"{one.id}:{line}", clean, marks, fixed)


def write(files: dict[str, str], root: Path) -> None:
    """Write an example's files below a folder."""
    for path, text in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")


def _files(body: str) -> dict[str, str]:
    parts = _FILE.split(body)
    if len(parts) == 1:
        return {DEFAULT_FILE: body}
    return {path: text.rstrip("\n") + "\n" if text.strip() else "" for path, text in zip(parts[1::2], parts[2::2], strict=True)}
