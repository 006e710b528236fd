"""``fixbot apply``: proven patches of a finished run into a work tree."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from fixbot.agent import workspace as ws
from fixbot.agent.errors import RepositoryError, UsageError
from fixbot.agent.history import finished_run
from fixbot.agent.report.text import clean, inert, plural
from fixbot.agent.result import Outcome, RunResult, Status
from fixbot.detectors.project import is_test
from fixbot.patchers.difference import unified
from fixbot.patchers.edits import GateError, check_path, edits_dependencies
from fixbot.patchers.patch import ConflictError, Patch, apply_patches, blob_id, patch_from_json


def apply_run(run: str, wanted: Sequence[str], path: Path | None, *, allow_dirty: bool, dry: bool) -> Iterator[str]:
    """Apply the proven fixes of a run, all or those whose fingerprints begin with ``wanted``. Yields what to print. Raises FixbotError.

    Nothing is written unless every chosen patch fits the files as they are. ``dry`` yields the diff instead.
    """
    result = finished_run(run)
    root = ws.locate(path or Path(result.repository))
    if not allow_dirty and not dry:
        refuse_dirty(root, "commit or stash them, or pass --allow-dirty")
    chosen = _choose(result, wanted)
    patches = [patch_of(outcome) for outcome in chosen]
    before = _read(root, patches)
    after = _apply(patches, before)
    proofs = dict(filter(None, map(proof_of, chosen)))
    news = check_new(root, proofs)
    if dry:
        yield from (inert(clean(unified(name, before[name], data))) for name, data in sorted(after.items()))
        yield from (
            inert(clean(unified(name, b"", data).replace(f"--- a/{name}", "--- /dev/null", 1))) for name, data in sorted(news.items())
        )
        return
    write_files(root, {**after, **news})
    tests = f" and {plural(len(news), 'test')}" if news else ""
    yield f"applied {plural(len(chosen), 'fix', 'fixes')} to {plural(len(after), 'file')}{tests} in {root}"


def check_new(root: Path, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Those of some new tests that are not there yet. Raises RepositoryError for a path that is taken, or that no test may have."""
    inside = os.path.realpath(root)
    for path, data in files.items():
        full = root / path
        if ws.unsafe(path) or not is_test(path) or not path.endswith(".py"):
            raise RepositoryError(f"refused path {path[:200]!a}: no place for a test", "start a new run")
        if os.path.realpath(full.parent) != os.path.normpath(os.path.join(inside, os.path.dirname(path))) or not full.parent.is_dir():
            raise RepositoryError(f"{path}: its folder is not there, or a link", "make the folder")
        if os.path.lexists(full) and (full.is_symlink() or not full.is_file() or full.read_bytes() != data):
            raise RepositoryError(f"{path} is there already, with other content", "move it away")
    return {path: data for path, data in files.items() if not (root / path).exists()}


def write_files(root: Path, files: Mapping[str, bytes]) -> None:
    """Write files, whose paths were checked, under ``root``. Raises RepositoryError."""
    for name, data in files.items():
        _replace(root / name, data)


def refuse_dirty(path: Path, cure: str = "commit or stash them") -> None:
    """Raises UsageError when the work tree that holds ``path`` has uncommitted changes, RepositoryError when there is none."""
    if ws.is_dirty(path):
        raise UsageError(f"{ws.locate(path)} has uncommitted changes", cure)


def _choose(result: RunResult, wanted: Sequence[str]) -> list[Outcome]:
    fixed = [outcome for outcome in result.outcomes if outcome.status is Status.FIXED and outcome.patch]
    for entry in wanted:
        if not any(outcome.finding.fingerprint.startswith(entry) for outcome in fixed):
            raise UsageError(
                f"run {result.run} has no proven fix `{entry}`", f"`fixbot report {result.run} --markdown` shows the fingerprints"
            )
    chosen = [one for one in fixed if not wanted or one.finding.fingerprint.startswith(tuple(wanted))]
    if not chosen:
        raise UsageError(f"run {result.run} has no proven fix to apply")
    return chosen


def patch_of(outcome: Outcome) -> Patch:
    """The patch of a finding that has one."""
    data = outcome.patch or {}
    return patch_from_json({**data, "finding": outcome.finding.fingerprint, "rule": outcome.finding.rule})


def proof_of(outcome: Outcome) -> tuple[str, bytes] | None:
    """The path and content of the test that proves a finding's fix, if one was kept."""
    proof = (outcome.verdict or {}).get("proof_test")
    return (proof["path"], proof["source"].encode()) if proof and proof["kept"] else None


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
        try:
            now |= apply_patches(fitting, now)
        except ConflictError as error:
            raise RepositoryError(f"the fixes do not go together: {error}", "apply them one by one") from None
        pending = [patch for patch in pending if patch not in fitting]
    return {path: data for path, data in now.items() if data != before[path]}


def _replace(path: Path, data: bytes) -> None:
    """New content under the old name and mode; the old file stays whole if the disk is full."""
    mode = path.stat().st_mode if path.exists() else 0o666 & ~_umask()
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


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
