"""The folder outside every repository where runs keep their files, and the lock that lets one run at a time work on a repository."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import stat
import tempfile
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from fixbot.agent.errors import BusyError, UsageError

__all__ = ["lock", "private", "state_dir", "write_json"]

logger = logging.getLogger(__name__)


def state_dir() -> Path:
    """Folder for the files of runs, made with mode 0700: the first that can be had, what was passed over is logged.

    ``FIXBOT_STATE_DIR``, ``XDG_STATE_HOME/fixbot``, ``~/.local/state/fixbot``, a folder of the user below the temporary one.
    Raises UsageError when there is none.
    """
    for place in _places():
        try:
            private(place)
            with tempfile.TemporaryFile(dir=place):
                return place
        except OSError as error:
            logger.warning("state cannot be kept in %s: %s", place, error)
    raise UsageError("there is no folder for the state of runs", "set FIXBOT_STATE_DIR to a folder of yours that others cannot write")


def _places() -> Iterator[Path]:
    if chosen := os.environ.get("FIXBOT_STATE_DIR"):
        yield Path(chosen).absolute()
    base = os.environ.get("XDG_STATE_HOME", "")
    if os.path.isabs(base):
        yield Path(base, "fixbot")
    home = os.path.expanduser("~")
    if os.path.isabs(home):
        yield Path(home, ".local", "state", "fixbot")
    yield Path(tempfile.gettempdir(), f"fixbot-{os.geteuid()}")


def private(folder: Path) -> Path:
    """Makes ``folder`` with mode 0700, or checks that it is the user's own and that no one else may write there. Raises OSError."""
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise PermissionError(f"{folder} is not a folder of user {os.geteuid()} that only they may write")
    return folder


def write_json(path: Path, value: object) -> None:
    """Replaces a file at once: after a crash or on a full disk it has the old or the new content. Raises OSError."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with open(handle, "w", encoding="utf-8") as file:
            json.dump(value, file, indent=1)
            file.flush()
            os.fsync(handle)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextmanager
def lock(state: Path, repository: Path) -> Generator[None]:
    """Holds the repository for this process. The kernel frees it when the process ends, however it ends.

    Raises BusyError, naming the process, when another one holds it; UsageError when ``state`` cannot keep a lock.
    """
    from filelock import FileLock, Timeout

    key = hashlib.sha256(os.fsencode(os.path.realpath(repository))).hexdigest()[:32]
    try:
        folder = private(state / "locks")
        held = FileLock(folder / f"{key}.lock", timeout=0, mode=0o600, fallback_to_soft=False)
        held.acquire()
    except Timeout as error:
        raise BusyError(f"{_holder(state / 'locks' / f'{key}.json')} works on {repository}", "wait until it ends") from error
    except OSError as error:
        raise UsageError(f"{state} cannot keep a lock: {error}", "set FIXBOT_STATE_DIR to a folder on a local disk") from error
    try:
        write_json(
            folder / f"{key}.json", {"pid": os.getpid(), "started": time.strftime("%Y-%m-%d %H:%M:%S %z"), "repository": str(repository)}
        )
        yield
    finally:
        (folder / f"{key}.json").unlink(missing_ok=True)
        held.release()


def _holder(path: Path) -> str:
    try:
        found = cast("dict[str, Any]", json.loads(path.read_bytes()))
        return f"process {int(found['pid'])}, started {str(found['started'])[:30]},"
    except (OSError, ValueError, KeyError, TypeError):
        return "another run"
