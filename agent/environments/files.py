"""Reads the files of a repository that is not trusted: only regular files inside it, only up to a size, never raising for their content."""

from __future__ import annotations

import configparser
import logging
import os
import stat
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

LOG = logging.getLogger(__name__)

MAX_BYTES = 16 * 1024 * 1024
MAX_FOLDERS = 2000
MAX_DEPTH = 3

_SKIPPED = frozenset(
    {"node_modules", "venv", "env", "site-packages", "build", "dist", "docs", "doc", "examples", "example"}
    | {"fixtures", "testdata", "vendor", "third_party", "templates"}
)

Table = Mapping[str, object]


def join(folder: str, name: str) -> str:
    """The relative POSIX path of ``name`` in ``folder``, normalised; it may lead outside (``../x``), which the readers refuse."""
    return os.path.normpath(os.path.join(folder, name))


def inside(tree: Path, relative: str) -> Path | None:
    """The real path of ``relative`` when it exists and lies in ``tree``, symbolic links followed; else None."""
    if not relative or os.path.isabs(relative) or "\0" in relative:
        return None
    try:
        real = (tree / relative).resolve(strict=True)
    except (OSError, RuntimeError):
        return None
    return real if real.is_relative_to(tree.resolve()) else None


def read_bytes(tree: Path, relative: str) -> bytes:
    """Content of a regular file inside ``tree``; empty when it is missing, special, outside, unreadable or over MAX_BYTES."""
    path = inside(tree, relative)
    if path is None:
        return b""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_BYTES:
            return b""
        return path.read_bytes()
    except OSError as error:
        LOG.warning("cannot read %s: %s", relative, error)
        return b""


def read_text(tree: Path, relative: str) -> str:
    """Like `read_bytes`, decoded as UTF-8; wrong bytes are replaced, a byte order mark is taken off."""
    return read_bytes(tree, relative).decode("utf-8-sig", errors="replace")


def read_toml(tree: Path, relative: str) -> Table:
    """A TOML file as a table; empty when it cannot be read."""
    try:
        return tomllib.loads(read_text(tree, relative))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        LOG.warning("%s is not valid TOML: %s", relative, error)
        return {}


def read_ini(tree: Path, relative: str) -> Mapping[str, Mapping[str, str]]:
    """An INI file as section -> option -> value, without interpolation; empty when it cannot be read."""
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(read_text(tree, relative))
    except (configparser.Error, ValueError) as error:
        LOG.warning("%s is not a valid INI file: %s", relative, error)
        return {}
    return {name: dict(parser.items(name)) for name in parser.sections()}


def table(data: object, *keys: str) -> Table:
    """The table at ``keys``; empty when it is missing or something else."""
    for key in keys:
        data = cast("Table", data).get(key) if isinstance(data, dict) else None
    return cast("Table", data) if isinstance(data, dict) else {}


def strings(value: object) -> tuple[str, ...]:
    """The strings of a list, or a single string as a tuple of one; anything else is left out."""
    if isinstance(value, str):
        return (value,)
    return tuple(item for item in cast("list[object]", value) if isinstance(item, str)) if isinstance(value, list) else ()


def text(value: object) -> str:
    """The value when it is a string, else an empty string."""
    return value if isinstance(value, str) else ""


def lines(value: str) -> tuple[str, ...]:
    """The lines of an INI value that hold something other than a comment."""
    stripped = (line.strip() for line in value.splitlines())
    return tuple(line for line in stripped if line and not line.startswith("#"))


def folders(tree: Path) -> Iterator[str]:
    """Relative folders of ``tree`` up to MAX_DEPTH deep, the root (``.``) first; hidden, vendored and generated ones are left out."""
    waiting = ["."]
    seen = 0
    while waiting and seen < MAX_FOLDERS:
        folder = waiting.pop(0)
        seen += 1
        yield folder
        if folder != "." and folder.count("/") + 1 >= MAX_DEPTH:
            continue
        waiting += [join(folder, name) for name in _subfolders(tree / folder)]


def _subfolders(folder: Path) -> list[str]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return []
    return [
        entry.name
        for entry in entries
        if entry.is_dir(follow_symlinks=False)
        and not entry.name.startswith(".")
        and entry.name not in _SKIPPED
        and not os.path.lexists(os.path.join(entry.path, "pyvenv.cfg"))
    ]


def file_names(tree: Path, folder: str) -> list[str]:
    """Sorted names of the entries of a folder that are files (symbolic links to files included); empty when it cannot be listed."""
    try:
        with os.scandir(tree / folder) as entries:
            return sorted(entry.name for entry in entries if entry.is_file())
    except OSError:
        return []
