"""Choosing a sandbox: each rung is tried by really running ``true`` in it."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

from fixbot.agent.errors import SandboxError, UsageError
from fixbot.agent.sandbox import bubblewrap
from fixbot.agent.sandbox.base import Command, Limits, Sandbox
from fixbot.agent.sandbox.direct import Direct
from fixbot.agent.sandbox.landlock import Landlock

logger = logging.getLogger(__name__)

_RUNGS = ("bwrap", "landlock", "none")
_AUTO = ("bwrap", "landlock")


def choose(wanted: str, target: Path) -> Sandbox:
    """The sandbox ``wanted`` (``bwrap``, ``landlock``, ``none``), or the first that works for ``auto``, which never is ``none``.

    ``target`` is the repository; no program is taken from it. Raises UsageError for another name, SandboxError, with the cure, when it
    cannot be had.
    """
    if wanted in _RUNGS:
        return _try(wanted, target)
    if wanted != "auto":
        raise UsageError(f"no such sandbox: {wanted}", f"One of auto, {', '.join(_RUNGS)}.")
    refused: list[str] = []
    cures: list[str] = []
    for rung in _AUTO:
        try:
            return _try(rung, target)
        except SandboxError as error:
            logger.info("sandbox %s cannot be used: %s", rung, error)
            refused.append(f"{rung}: {error.message}")
            cures.append(error.cure)
    cure = next((cure for cure in cures if cure), "Install the package bubblewrap.")
    raise SandboxError("no sandbox can be had; " + "; ".join(refused), cure)


def explain(target: Path) -> list[tuple[str, bool, str]]:
    """For each rung: its name, whether it can be used, and why not and what to do about it (or what it amounts to)."""
    good = {
        "bwrap": "namespaces: no network, no other process, only the copy writable",
        "landlock": "only the copy writable, no sockets, no change of modes and times of files",
        "none": "no isolation, by explicit choice only",
    }
    found: list[tuple[str, bool, str]] = []
    for rung in _RUNGS:
        try:
            weak = weaknesses(_try(rung, target))
            found.append((rung, True, "; ".join((good[rung], *weak))))
        except SandboxError as error:
            found.append((rung, False, " ".join(str(error).split())))
    return found


def weaknesses(sandbox: Sandbox) -> tuple[str, ...]:
    """What this sandbox does not keep from happening here, one sentence each; for the report."""
    return sandbox.gaps() if isinstance(sandbox, Landlock) else ()


def _try(rung: str, target: Path) -> Sandbox:
    """The rung, after a trial run. Raises SandboxError."""
    if rung == "none":
        return Direct()
    sandbox: Sandbox = bubblewrap.Bubblewrap(bubblewrap.find(target)) if rung == "bwrap" else Landlock()
    with tempfile.TemporaryDirectory(prefix="fixbot-") as folder:
        root = Path(folder).resolve()
        outcome = sandbox.run(Command(["true"], root, root, limits=Limits(seconds=20)))
    if outcome.exit_code != 0:
        raise SandboxError(f"{rung} cannot run even `true`: {outcome.limit or outcome.output[-500:].strip() or outcome.exit_code}")
    return sandbox
