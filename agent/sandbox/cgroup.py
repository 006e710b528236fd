"""Memory and process limits for a whole tree of processes, where this user may make control groups.

Version 2 first, then version 1. A group is made below fixbot's own (in version 2 also beside it), so that whatever bounds fixbot bounds
the command too. References: Linux ``Documentation/admin-guide/cgroup-v2.rst`` and ``cgroup-v1/{memory,pids}.rst``.
"""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fixbot.agent.sandbox.base import Limits

logger = logging.getLogger(__name__)

_numbers = itertools.count()
HELPERS = 2  # processes of the sandbox itself: bwrap and its init


@dataclass(frozen=True, slots=True)
class Groups:
    """The folders to join, the kernel's counters as (file, key, limit), and which limits are in force."""

    folders: tuple[str, ...] = ()
    counters: tuple[tuple[str, str, str], ...] = ()
    memory: bool = False
    processes: bool = False


def make(limits: Limits) -> Groups:
    """Make groups with these limits, as many as this user may; ``launcher.py`` removes them."""
    found = Groups()
    for kind, parent, joinable in _places():
        wanted = {"memory": not found.memory, "pids": not found.processes}
        if kind != "v2":
            wanted = {name: need and name == kind for name, need in wanted.items()}
        if any(wanted.values()) and os.access(joinable / "cgroup.procs", os.W_OK):
            found = _add(found, kind, parent, wanted, limits)
    logger.debug("control groups: %s", found)
    return found


def _places() -> Iterator[tuple[str, Path, Path]]:
    """(``v2``, ``memory`` or ``pids``; folder to make a group in; folder whose cgroup.procs must be writable to move there)."""
    try:
        own = dict(line.split(":", 2)[1:] for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines())
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return
    for line in sorted(mounts, key=lambda line: " - cgroup2 " not in line):
        left, _, right = line.partition(" - ")
        root, mount = left.split()[3:5]
        kind, _, options = right.split(" ", 2)
        if kind == "cgroup2":
            folder = _below(mount, root, own.get("", ""))
            yield "v2", folder, folder
            if folder != Path(mount):
                yield "v2", folder.parent, folder.parent
        elif kind == "cgroup":
            for name in {"memory", "pids"} & set(options.split(",")):
                path = next((path for names, path in own.items() if name in names.split(",")), "")
                yield name, _below(mount, root, path), _below(mount, root, path)


def _below(mount: str, root: str, path: str) -> Path:
    """Where the group ``path`` is under a mount that shows the hierarchy from ``root``."""
    inside = path.removeprefix(root.rstrip("/")) if (path + "/").startswith(root.rstrip("/") + "/") else path
    return Path(mount, inside.lstrip("/"))


def _add(found: Groups, kind: str, parent: Path, wanted: dict[str, bool], limits: Limits) -> Groups:
    """``found`` and a group in ``parent``, if one can be made there that limits anything."""
    _remove_stale(parent)
    folder = parent / f"fixbot-{os.getpid()}-{next(_numbers)}"
    try:
        folder.mkdir()
    except OSError:
        return found
    memory = wanted["memory"] and _limit_memory(folder, kind, limits.memory)
    processes = wanted["pids"] and _write(folder / "pids.max", limits.processes + HELPERS)
    if not (memory or processes):
        with suppress(OSError):
            folder.rmdir()
        return found
    counters = list(found.counters)
    if memory:
        counters.append((str(folder / ("memory.events" if kind == "v2" else "memory.oom_control")), "oom_kill", "memory"))
    if processes:
        counters.append((str(folder / "pids.events"), "max", "processes"))
    return Groups((*found.folders, str(folder)), tuple(counters), found.memory or memory, found.processes or processes)


def _limit_memory(folder: Path, kind: str, size: int) -> bool:
    if kind == "v2":
        _write(folder / "memory.swap.max", 0)
        return _write(folder / "memory.max", size)
    limited = _write(folder / "memory.limit_in_bytes", size)
    _write(folder / "memory.memsw.limit_in_bytes", size)
    return limited


def _write(file: Path, value: int) -> bool:
    """Whether the kernel took the value; it offers no such file where the controller is not enabled."""
    try:
        with open(file, "r+", encoding="ascii") as stream:
            stream.write(str(value))
    except OSError:
        return False
    return True


def _remove_stale(parent: Path) -> None:
    """Remove empty groups whose fixbot was killed; the kernel refuses to remove one that is in use."""
    for folder in parent.glob("fixbot-*-*"):
        pid = folder.name.split("-")[1]
        if pid.isdigit() and not Path("/proc", pid).exists():
            with suppress(OSError):
                folder.rmdir()
