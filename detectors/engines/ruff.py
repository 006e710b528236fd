"""Diagnostics of ruff, run isolated from the target's configuration; rules with ``Ruff(...)`` turn them into findings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fixbot.detectors.finding import Span

_CHARACTERS = 400_000  # of paths in one command line
_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One diagnostic of ruff."""

    code: str
    message: str
    span: Span


class EngineError(Exception):
    """ruff could not be run or answered something else than its JSON."""


def diagnose(root: Path, files: Sequence[str], codes: Iterable[str], jobs: int = 1) -> dict[str, list[Diagnostic]]:
    """Run ruff on files below ``root`` for some codes, in ``jobs`` threads; diagnostics by path.

    ``# noqa`` comments count. Raises EngineError.
    """
    wanted = ",".join(sorted(set(codes)))
    found: defaultdict[str, list[Diagnostic]] = defaultdict(list)
    if not wanted:
        return found
    for batch in _batches([str(root.resolve() / name) for name in files]):
        for entry in _run(root, batch, wanted, jobs):
            if entry.get("code") and entry.get("location") and entry.get("end_location"):
                path = Path(entry["filename"]).relative_to(root.resolve()).as_posix()
                found[path].append(_diagnostic(entry))
    return found


def _batches(paths: Iterable[str]) -> Iterator[list[str]]:
    """The paths in as few command lines as may be: each run of ruff costs its start."""
    batch: list[str] = []
    length = 0
    for path in paths:
        if batch and length + len(path) > _CHARACTERS:
            yield batch
            batch, length = [], 0
        batch.append(path)
        length += len(path) + 1
    if batch:
        yield batch


def _diagnostic(entry: dict[str, Any]) -> Diagnostic:
    start, end = entry["location"], entry["end_location"]
    return Diagnostic(entry["code"], entry["message"], Span(start["row"], start["column"], end["row"], end["column"]))


def _run(root: Path, files: Sequence[str], codes: str, jobs: int) -> list[dict[str, Any]]:
    options = ["--isolated", "--no-cache", "--no-fix", "--exit-zero", "--quiet", "--target-version", "py313", "--output-format", "json"]
    command = [_binary(), "check", *options, "--select", codes, "--", *files]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
            cwd=root,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "RAYON_NUM_THREADS": str(jobs)},
        )
        return json.loads(done.stdout) if done.stdout.strip() else []
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        raise EngineError(f"ruff could not be run: {error}") from error


def _binary() -> str:
    beside = Path(sysconfig.get_path("scripts")) / "ruff"
    if beside.is_file():
        return str(beside)
    user = Path(sys.executable).parent / "ruff"
    if user.is_file():
        return str(user)
    raise EngineError("the ruff that fixbot depends on is not installed beside it; reinstall fixbot")
