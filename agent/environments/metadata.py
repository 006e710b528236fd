"""Writes the metadata that an installed copy of the target would have, for suites that ask importlib.metadata for it."""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from packaging.utils import canonicalize_name

from fixbot.agent.environments.build import publish
from fixbot.agent.environments.project import Project

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?")
_ENTRY = re.compile(r"[^\s=\[#;][^\r\n=]*")
_TARGET = re.compile(r"[\w.]+(?:\s*:\s*[\w.]+)?(?:\s*\[[\w\s,.-]*\])?")


def overlay(projects: Iterable[Project], cache: Path) -> Path | None:
    """A folder in ``cache`` with a dist-info for each project, to be put on PYTHONPATH; None when no project has a name."""
    files: dict[str, str] = {}
    for project in projects:
        if _NAME.fullmatch(project.name):
            folder = f"{canonicalize_name(project.name).replace('-', '_')}-{project.version}.dist-info"
            files.setdefault(f"{folder}/METADATA", f"Metadata-Version: 2.1\nName: {project.name}\nVersion: {project.version}\n")
            files.setdefault(f"{folder}/entry_points.txt", _entry_points(project.entry_points))
    if not files:
        return None
    final = cache / "metadata" / hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()[:32]
    if not final.is_dir():
        final.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".building-", dir=final.parent))
        try:
            for name, content in files.items():
                (folder / name).parent.mkdir(exist_ok=True)
                (folder / name).write_text(content, encoding="utf-8")
            publish(folder, final)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return final


def _entry_points(groups: Mapping[str, Mapping[str, str]]) -> str:
    lines: list[str] = []
    for group, entries in groups.items():
        good = [f"{name} = {value}" for name, value in entries.items() if _ENTRY.fullmatch(name) and _TARGET.fullmatch(value)]
        if good and re.fullmatch(r"[\w.-]+", group):
            lines += [f"[{group}]", *good, ""]
    return "\n".join(lines)
