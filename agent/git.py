"""The git program, run so that nothing of the target repository chooses what runs.

No command reads the target's configuration: each gets fixbot's own clone as its git directory, or a stand-in for the target's (see
``repository``). The environment is built from nothing, so that variables of a calling git hook (``GIT_DIR``, ``GIT_INDEX_FILE``) or
of a person's shell do not reach git either.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import tempfile
import threading
from collections import deque
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from fixbot.agent.errors import RepositoryError

if TYPE_CHECKING:
    import subprocess

    from git import Git

__all__ = ["GitFailure", "GitMissing", "attempt", "run", "stream"]

logger = logging.getLogger(__name__)

IDENTITY = ("fixbot", "fixbot@users.noreply.github.com")
SECONDS = 600.0  # for one git command
OUTPUT = 1 << 28  # bytes of standard output that are kept of one git command
_LINE = 1 << 16  # bytes that count as one line of standard error, which may be what a server sent
_ENVIRONMENT = {
    "HOME": "/nonexistent",
    "XDG_CONFIG_HOME": "/nonexistent",
    "LC_ALL": "C",
    "LANGUAGE": "C",
    "TZ": "UTC",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "/bin/false",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_PAGER": "cat",
    "GIT_EDITOR": ":",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    **{f"GIT_{role}_{part}": value for role in ("AUTHOR", "COMMITTER") for part, value in zip(("NAME", "EMAIL"), IDENTITY, strict=True)},
}
# Second line of defence: the git directories in use hold none of these.
_SETTINGS = (
    *("core.hooksPath=/dev/null", "core.fsmonitor=false", "core.untrackedCache=false", "core.alternateRefsCommand=true"),
    *("core.sshCommand=false", "core.askPass=", "credential.helper=", "core.autocrlf=false", "core.attributesFile=/dev/null"),
    *("core.excludesFile=/dev/null", "core.pager=cat", "core.editor=:", "diff.external=", "submodule.recurse=false"),
    *("protocol.ext.allow=never", "protocol.version=2", "gc.auto=0", "maintenance.auto=false"),
    *("commit.gpgSign=false", "tag.gpgSign=false", "log.showSignature=false", "fetch.writeCommitGraph=false"),
)


class GitFailure(RepositoryError):
    """git ended with a status other than 0. ``said``: the last lines of its standard error."""

    said: tuple[str, ...] = ()


class GitMissing(RepositoryError):
    """There is no git program outside the target repository."""


def _search_path(outside: Path) -> str:
    """The caller's PATH without relative folders and without folders of the target repository."""
    given = (Path(folder) for folder in os.environ.get("PATH", os.defpath).split(os.pathsep) if folder)
    return os.pathsep.join(str(folder) for folder in given if folder.is_absolute() and not folder.resolve().is_relative_to(outside))


def _program(name: str, search: str, outside: Path) -> str:
    found = shutil.which(name, path=search)
    if found is None or Path(found).resolve().is_relative_to(outside):
        raise GitMissing(f"{name} was not found in any folder of PATH outside {outside}", f"install {name}")
    return found


def _command(
    git: str, search: str, directory: Path | None, args: Sequence[str], outside: Path, extra: Mapping[str, str], secret: Mapping[str, str]
) -> list[str]:
    environment = {"PATH": search, **_ENVIRONMENT, "GIT_ALLOW_PROTOCOL": "none", **extra}
    if directory is not None:
        environment["GIT_DIR"] = str(directory)
    # gitpython adds its variables to those of this process; `env` starts git with exactly these. A secret must not be among the
    # arguments of `env`, which all users of the machine can read: its variables are inherited, all others of this process taken away.
    own = [part for name in os.environ if name and name not in secret for part in ("-u", name)] if secret else ["-i"]
    pairs = (f"{key}={value}" for key, value in environment.items())
    return [_program("env", search, outside), *own, *pairs, git, *(part for setting in _SETTINGS for part in ("-c", setting)), *args]


def _start(command: list[str], git: str, source: BinaryIO, secret: Mapping[str, str]) -> subprocess.Popen[bytes]:
    running = _gitpython(git)("/").execute(command, istream=source, as_process=True, env=dict(secret), start_new_session=True)
    process = cast("subprocess.Popen[bytes]", running.proc)
    running.proc = None  # ours to end; gitpython's wrapper would stop it when it goes out of scope
    return process


@cache
def _gitpython(git: str) -> type[Git]:
    """gitpython's class, imported so that it does not try the first ``git`` of the caller's PATH."""
    before = {name: value for name, value in os.environ.items() if name.startswith("GIT_")}
    for name in before:
        del os.environ[name]
    os.environ["GIT_PYTHON_GIT_EXECUTABLE"] = git
    try:
        from git import Git
    finally:
        del os.environ["GIT_PYTHON_GIT_EXECUTABLE"]
        os.environ.update(before)
    return Git


@contextmanager
def stream(
    directory: Path | None,
    *args: str,
    outside: Path,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    secret: Mapping[str, str] | None = None,
) -> Generator[BinaryIO]:
    """Standard output of ``git ARGS`` with ``directory`` as its git directory; the process is gone afterwards.

    ``outside``: the target repository, from which no program is taken. ``env``: further variables; ``secret``: those that are in the
    environment of this one git alone, never among the arguments of a process.
    Raises GitMissing, GitFailure on a status other than 0, RepositoryError after ``SECONDS``.
    """
    search = _search_path(outside)
    git = _program("git", search, outside)
    command = _command(git, search, directory, args, outside, env or {}, secret or {})
    last: deque[bytes] = deque(maxlen=20)
    late = threading.Event()
    with tempfile.TemporaryFile() as source:
        source.write(stdin)
        source.seek(0)
        process = _start(command, git, cast("BinaryIO", source), secret or {})
        assert process.stdout is not None
        assert process.stderr is not None
        lines = iter(partial(process.stderr.readline, _LINE), b"")
        drain = threading.Thread(target=last.extend, args=(lines,), daemon=True)
        timer = threading.Timer(SECONDS, lambda: (late.set(), _kill(process)))
        drain.start()
        timer.start()
        try:
            yield cast("BinaryIO", process.stdout)
            process.stdout.close()
            status = process.wait()
            drain.join()
        finally:
            timer.cancel()
            _kill(process)
            process.stdout.close()
            process.wait()
            drain.join(timeout=5)
            process.stderr.close()
    if late.is_set():
        raise RepositoryError(
            f"git {args[0]} did not end within {SECONDS:g} s", "see whether the disk or the repository is damaged: git fsck"
        )
    if status:
        failure = GitFailure(
            f"git {args[0]} failed: {_reason(last) or f'status {status}'}", "see whether the repository is sound: git fsck"
        )
        failure.said = tuple(line.decode("utf-8", "replace").strip() for line in last)
        raise failure


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _reason(lines: deque[bytes]) -> str:
    text = [line.decode("utf-8", "replace").strip() for line in lines]
    told = [line for line in text if line.startswith(("fatal:", "error:"))] or text[-1:]
    return "".join(letter if letter.isprintable() else "?" for letter in "; ".join(told[:3])[:500])


def run(
    directory: Path | None,
    *args: str,
    outside: Path,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    secret: Mapping[str, str] | None = None,
) -> bytes:
    """Standard output of a git command. Raises as ``stream`` does, and RepositoryError when it is larger than ``OUTPUT``."""
    with stream(directory, *args, outside=outside, stdin=stdin, env=env, secret=secret) as output:
        data = output.read(OUTPUT)
        if len(data) == OUTPUT:
            raise RepositoryError(
                f"git {args[0]} lists more than {OUTPUT >> 20} MiB", "the repository is too large for fixbot, or made to be"
            )
    return data


def attempt(directory: Path | None, *args: str, outside: Path, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> bytes | None:
    """Standard output of a git command, None when git says no (status other than 0)."""
    try:
        return run(directory, *args, outside=outside, stdin=stdin, env=env)
    except GitFailure as failure:
        logger.debug("%s", failure.message)
        return None
