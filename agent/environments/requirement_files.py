"""Reads pip's requirement files. Only names, versions, extras and markers are taken; options and outside files are not followed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from fixbot.agent.environments.files import file_names, inside, join, read_text
from fixbot.agent.environments.part import Declaration, Kind

MAX_FILES = 200

_NAME = re.compile(r"(?:requirements|reqs)(?:[-_.]([\w.-]+))?\.txt|([\w.-]+)[-_.](?:requirements|reqs)\.txt", re.IGNORECASE)
_TEST_WORDS = frozenset(
    {"test", "tests", "testing", "dev", "devel", "develop", "development", "local", "lint", "linting", "ci", "qa"}
    | {"gpu", "cuda", "rocm", "types", "typing", "optional"}
)
_UNUSED_WORDS = frozenset({"doc", "docs", "windows", "win", "win32", "macos", "mac", "osx"})
_OPTION = re.compile(r"(-r|--requirement|-c|--constraint|-e|--editable)(?:=|\s*)(.+)")
_PROJECT_PATH = re.compile(r"(\.{0,2}/?[\w./-]*?)/?(\[[\w,\s.-]*\])?")

OPTION_REASON = "a repository may not say where packages come from"
INDEX_REASON = "only packages from an index are installed"


def kind_of(folder: str, name: str) -> Kind | None:
    """What a file called ``name`` in ``folder`` holds; None when it is no requirement file or one that tests don't need (docs, windows)."""
    match = _NAME.fullmatch(name)
    if match:
        label = match[1] or match[2] or ""
    elif os.path.basename(folder) in {"requirements", "reqs"} and name.endswith(".txt"):
        label = name.removesuffix(".txt")
    else:
        return "constraint" if name == "constraints.txt" and folder == "." else None
    words = set(re.split(r"[-_.]", label.lower())) | set(folder.lower().split("/"))
    if words & _UNUSED_WORDS:
        return None
    if words & {"constraint", "constraints"}:
        return "constraint"
    return "test" if words & _TEST_WORDS else "core"


def found_files(tree: Path, folder: str) -> list[tuple[str, Kind]]:
    """The requirement files of one folder with their kinds."""
    return [(join(folder, name), kind) for name in file_names(tree, folder) if (kind := kind_of(folder, name)) is not None]


def read_file(tree: Path, path: str, kind: Kind, seen: set[str]) -> Iterator[Declaration]:
    """The lines of a requirement file and of the files that it includes, each file once (``seen`` is added to)."""
    path = join(".", path)
    if path in seen or len(seen) >= MAX_FILES:
        return
    seen.add(path)
    text = re.sub(r"\\\r?\n", " ", read_text(tree, path))
    for raw in text.splitlines():
        yield from declarations(tree, raw, kind, path, seen)


def declarations(tree: Path, line: str, kind: Kind, source: str, seen: set[str]) -> Iterator[Declaration]:
    """What one line in the format of requirement files declares; an included file gives all of its lines."""
    line = re.sub(r"(^|\s)#.*$", "", line).strip()
    if not line:
        return
    option = _OPTION.fullmatch(line)
    folder = os.path.dirname(source)
    if option and option[1] in {"-r", "--requirement", "-c", "--constraint"}:
        target = join(folder, option[2].strip())
        real = inside(tree, target)
        if real is None or not real.is_file():
            yield Declaration("dropped", line, source, "no such file in the repository")
        else:
            yield from read_file(tree, target, kind if option[1] in {"-r", "--requirement"} else "constraint", seen)
        return
    place = option[2].strip() if option else line
    if own := _own_project(tree, folder, place):
        yield Declaration("own", own, source)
    elif option:
        yield Declaration("dropped", line, source, INDEX_REASON)
    elif line.startswith("-"):
        yield Declaration("dropped", line, source, OPTION_REASON)
    else:
        yield Declaration(kind, re.split(r"\s--?[a-zA-Z]", line, maxsplit=1)[0].strip(), source)


def _own_project(tree: Path, folder: str, place: str) -> str | None:
    match = _PROJECT_PATH.fullmatch(place)
    if match is None or not place.startswith("."):
        return None
    path = join(folder, match[1] or ".")
    real = inside(tree, path)
    return path + (match[2] or "") if real is not None and real.is_dir() else None
