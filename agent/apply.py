"""``fixbot apply``: proven patches of a finished run into a work tree."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from fixbot.agent import workspace as ws
from fixbot.agent.errors import RepositoryError, UsageError
from fixbot.agent.history import finished_run
from fixbot.agent.report.text import clean, inert, plural
from fixbot.agent.result import Outcome, RunResult, Status
from fixbot.detectors.finding import Safety
from fixbot.patchers.difference import unified
from fixbot.patchers.edits import GateError, check_path, edits_dependencies
from fixbot.patchers.patch import Edit, Origin, Patch, apply_patches, blob_id


def apply_run(run: str, wanted: Sequence[str], path: Path | None, *, allow_dirty: bool, dry: bool) -> Iterator[str]:
    """Apply the proven fixes of a run, all or those whose fingerprints begin with ``wanted``. Yields what to print. Raises FixbotError.

    Nothing is written unless every chosen patch fits the files as they are. ``dry`` yields the diff instead.
    """
    result = finished_run(run)
    root = ws.locate(path or Path(result.repository))
    if not allow_dirty and not dry:
        refuse_dirty(root, "commit or stash them, or pass --allow-dirty")
    chosen = _choose(result, wanted)
    before = _read(root, chosen)
    after = _apply(chosen, before)
    if dry:
        yield from (inert(clean(unified(name, before[name], data))) for name, data in sorted(after.items()))
        return
    for name, data in after.items():
        _replace(root / name, data)
    yield f"applied {plural(len(chosen), 'fix', 'fixes')} to {plural(len(after), 'file')} in {root}"


def refuse_dirty(path: Path, cure: str = "commit or stash them") -> None:
    """Raises UsageError when the work tree that holds ``path`` has uncommitted changes, RepositoryError when there is none."""
    if ws.is_dirty(path):
        raise UsageError(f"{ws.locate(path)} has uncommitted changes", cure)


def _choose(result: RunResult, wanted: Sequence[str]) -> list[Patch]:
    fixed = [outcome for outcome in result.outcomes if outcome.status is Status.FIXED and outcome.patch]
    for entry in wanted:
        if not any(outcome.finding.fingerprint.startswith(entry) for outcome in fixed):
            raise UsageError(
                f"run {result.run} has no proven fix `{entry}`", f"`fixbot report {result.run} --markdown` shows the fingerprints"
            )
    chosen = [one for one in fixed if not wanted or one.finding.fingerprint.startswith(tuple(wanted))]
    if not chosen:
        raise UsageError(f"run {result.run} has no proven fix to apply")
    return [_patch(outcome) for outcome in chosen]


def _patch(outcome: Outcome) -> Patch:
    data = outcome.patch or {}
    edits = tuple(Edit(*entry) for entry in data["edits"])
    return Patch(outcome.finding.fingerprint, outcome.finding.rule, Origin(data["origin"]), Safety(data["safety"]), data["bases"], edits)


def _read(root: Path, patches: Sequence[Patch]) -> dict[str, bytes]:
    tracked = frozenset(ws.list_files(root) or ())
    try:
        for patch in patches:
            for path in patch.paths:
                check_path(path, root, tracked, dependencies=edits_dependencies(patch.rule, path))
    except (GateError, KeyError) as error:
        raise RepositoryError(f"the fixes cannot be applied to {root}: {error}") from None
    return {path: (root / path).read_bytes() for patch in patches for path in patch.bases}


def _apply(patches: Sequence[Patch], before: dict[str, bytes]) -> dict[str, bytes]:
    """Patches of one base together, then those that were made on top of them, until all are in."""
    now, pending = dict(before), list(patches)
    while pending:
        fitting = [patch for patch in pending if all(blob_id(now[path]) == base for path, base in patch.bases.items())]
        if not fitting:
            names = ", ".join(sorted({path for patch in pending for path in patch.paths}))
            raise RepositoryError(
                f"{names}: not as it was when the fixes were made, or a fix needs another one that was not chosen",
                "run fixbot again, or apply all fixes of the run",
            )
        now |= apply_patches(fitting, now)
        pending = [patch for patch in pending if patch not in fitting]
    return {path: data for path, data in now.items() if data != before[path]}


def _replace(path: Path, data: bytes) -> None:
    """New content under the old name and mode; the old file stays whole if the disk is full."""
    mode = path.stat().st_mode
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with open(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(draft, mode & 0o7777)
        os.replace(draft, path)
    except OSError as error:
        os.unlink(draft)
        raise RepositoryError(f"cannot write {path}: {error.strerror}", "free disk space or check the permissions") from error
