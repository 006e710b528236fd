"""Reads lock files as pins: poetry.lock, pdm.lock and uv.lock as TOML, uv.lock better through ``uv export`` (see build)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from packaging.requirements import InvalidRequirement, Requirement

from fixbot.agent.environments.files import Table, join, read_toml, table, text

_ELSEWHERE = ("git", "path", "url", "directory", "editable", "virtual")  # keys of packages that no index has


def pins(tree: Path, path: str) -> Iterator[str]:
    """``name==version`` of the packages that a lock file takes from an index, with the marker where the file gives one.

    A package that is locked in several versions is left out unless every one has a marker.
    """
    packages = list(_packages(read_toml(tree, path)))
    counts = Counter(text(package.get("name")) for package in packages)
    bare = {text(package.get("name")) for package in packages if not _marker(package)}
    for package in packages:
        name, version, marker = text(package.get("name")), text(package.get("version")), _marker(package)
        if not name or not version or (counts[name] > 1 and name in bare):
            continue
        try:
            yield str(Requirement(f"{name}=={version}" + (f" ; {marker}" if marker else "")))
        except InvalidRequirement:
            continue


def _packages(data: Table) -> Iterator[Table]:
    found = data.get("package")
    for item in cast("list[object]", found) if isinstance(found, list) else []:
        package = table(item)
        source = table(package.get("source"))
        elsewhere = any(key in package or (key in source and "registry" not in source) for key in _ELSEWHERE)
        if text(source.get("type")) in {"", "legacy"} and (not elsewhere or source.get("type") == "legacy"):
            yield package


def _marker(package: Table) -> str:
    return text(package.get("markers")) or text(package.get("marker"))


def lock_files(tree: Path, folder: str) -> list[str]:
    """The lock files of one folder that are read as pins."""
    return [path for path in (join(folder, name) for name in ("poetry.lock", "pdm.lock")) if (tree / path).is_file()]
