"""The git program, run so that nothing of the target repository chooses what runs.

No command ever reads the target's configuration. Each one gets either fixbot's own clone as its git directory, or a *stand-in*: an
empty git directory with fixbot's configuration whose objects and refs are links to the target's. The environment is built from
nothing, so that variables of a calling git hook (``GIT_DIR``, ``GIT_INDEX_FILE``) or of a target's shell do not reach git.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import signal
import tempfile
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from fixbot.agent.errors import RepositoryError

if TYPE_CHECKING:
    import subprocess

    from git import Git

__all__ = ["GitFailure", "GitMissing", "Repository", "attempt", "discover", "run", "stand_in", "stream"]

logger = logging.getLogger(__name__)

IDENTITY = ("fixbot", "fixbot@users.noreply.github.com")
SECONDS = 600.0  # for one git command
OUTPUT = 1 << 30  # bytes of standard output that are kept of one git command
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
_KEYS = r"^(extensions\.(objectformat|refstorage)|core\.sharedrepository)$"
_VALUE = re.compile(r"[a-z0-9]{1,16}")


class GitFailure(RepositoryError):
    """git ended with a status other than 0."""


class GitMissing(RepositoryError):
    """There is no git program outside the target repository."""


@dataclass(frozen=True, slots=True)
class Repository:
    """Where a repository keeps what. All paths are absolute and free of symbolic links.

    ``root`` is the work tree (the repository itself when ``bare``); ``directory`` holds HEAD and the index, ``common`` the objects
    and refs: they differ in a linked work tree.
    """

    root: Path
    directory: Path
    common: Path
    bare: bool


def discover(path: Path) -> Repository:
    """The repository that holds ``path``, found without running git.

    A bare repository counts only when ``path`` is that repository: one that lies inside a work tree may be planted.
    Raises RepositoryError when there is none, or when a ``.git`` file points to nothing.
    """
    try:
        start = path.resolve(strict=True)
        start = start if start.is_dir() else start.parent
        device = start.stat().st_dev
        for folder in (start, *start.parents):
            if folder.stat().st_dev != device:
                break
            found = _at(folder, folder == start)
            if found is not None:
                return found
    except (OSError, RuntimeError) as error:
        raise RepositoryError(f"{path} cannot be read: {error}", "give an existing folder that you may read") from error
    raise RepositoryError(
        f"{path} is not in a git repository", "run fixbot in a git repository, or make one: git init && git add . && git commit"
    )


def _at(folder: Path, named: bool) -> Repository | None:
    dot = folder / ".git"
    if dot.is_file():
        target = _line(dot).removeprefix("gitdir:").strip()
        common = _common((folder / target).resolve())
        if not target or common is None:
            raise RepositoryError(
                f"{dot} points to {target or 'nothing'}, which is not a git directory", "git worktree repair, or clone again"
            )
        return Repository(folder, (folder / target).resolve(), common, bare=False)
    common = _common(dot.resolve())
    if common is not None:
        return Repository(folder, dot.resolve(), common, bare=False)
    common = _common(folder) if named and folder.name != ".git" else None
    return None if common is None else Repository(folder, folder, common, bare=True)


def _common(directory: Path) -> Path | None:
    """Folder with the objects and refs of a git directory, None when ``directory`` is not one."""
    if not os.path.lexists(directory / "HEAD"):
        return None
    link = directory / "commondir"
    common = (directory / _line(link)).resolve() if link.is_file() else directory
    return common if (common / "objects").is_dir() and (common / "refs").is_dir() else None


def _line(path: Path) -> str:
    with path.open("rb") as file:
        return os.fsdecode(file.read(8192).rstrip(b"\r\n"))


@contextmanager
def stand_in(repository: Repository, folder: Path | None = None) -> Iterator[Path]:
    """A throw-away git directory with the target's objects, refs and HEAD, but with fixbot's configuration and no hooks.

    Made in ``folder`` (default: the system's temporary folder). Refs and objects that git writes there land in the target.
    """
    with tempfile.TemporaryDirectory(prefix="fixbot-", dir=folder) as name:
        directory = Path(name)
        for part in ("objects", "refs", "packed-refs", "logs", "reftable"):
            if (repository.common / part).exists():
                (directory / part).symlink_to(repository.common / part)
        for part in ("HEAD", "ORIG_HEAD", "MERGE_HEAD", "FETCH_HEAD"):
            _copy(repository.directory / part, directory / part)
        if (repository.directory / "HEAD").is_symlink():
            (directory / "HEAD").write_bytes(b"ref: " + os.fsencode(os.readlink(repository.directory / "HEAD")) + b"\n")
        for shared in repository.directory.glob("sharedindex.*"):  # reading one touches its time stamp
            _copy(shared, directory / shared.name)
        (directory / "info").mkdir()
        _copy(repository.common / "shallow", directory / "shallow")
        _copy(repository.common / "info" / "exclude", directory / "info" / "exclude")
        (directory / "config").write_text(_configuration(repository), "utf-8")
        yield directory


def _copy(source: Path, target: Path) -> None:
    if source.is_file():
        shutil.copyfile(source, target)


def _configuration(repository: Repository) -> str:
    """Configuration of a stand-in: of the target's own, only how refs, objects and file modes are laid out."""
    listed = b""
    if (repository.common / "config").is_file():
        query = ("config", "--file", str(repository.common / "config"), "--no-includes", "--null", "--get-regexp", _KEYS)
        listed = attempt(None, *query, outside=repository.root) or b""
    found = dict(item.decode("utf-8", "replace").lower().split("\n", 1) for item in listed.split(b"\0") if b"\n" in item)
    kept = {key: value for key, value in found.items() if _VALUE.fullmatch(value)}
    lines = ["[core]", f"repositoryformatversion = {int('extensions.' in str(kept))}", f"bare = {str(repository.bare).lower()}"]
    lines += ["fileMode = false", f"logAllRefUpdates = {str((repository.common / 'logs').is_dir()).lower()}"]
    lines += ["[{0}]\n{1} = {2}".format(*key.split("."), value) for key, value in kept.items()]
    return "\n".join(lines) + "\n"


def _search_path(outside: Path) -> str:
    """The caller's PATH without relative folders and without folders of the target repository."""
    given = (Path(folder) for folder in os.environ.get("PATH", os.defpath).split(os.pathsep) if folder)
    return os.pathsep.join(str(folder) for folder in given if folder.is_absolute() and not folder.resolve().is_relative_to(outside))


def _program(name: str, search: str, outside: Path) -> str:
    found = shutil.which(name, path=search)
    if found is None or Path(found).resolve().is_relative_to(outside):
        raise GitMissing(f"{name} was not found in any folder of PATH outside {outside}", f"install {name}")
    return found


def _command(git: str, search: str, directory: Path | None, args: Sequence[str], outside: Path, extra: Mapping[str, str]) -> list[str]:
    environment = {"PATH": search, **_ENVIRONMENT, "GIT_ALLOW_PROTOCOL": "none", **extra}
    if directory is not None:
        environment["GIT_DIR"] = str(directory)
        environment.setdefault("GIT_INDEX_FILE", str(directory / "no-index"))
    # gitpython adds its variables to those of this process; `env -i` starts git with exactly these.
    pairs = (f"{key}={value}" for key, value in environment.items())
    return [_program("env", search, outside), "-i", *pairs, git, *(part for setting in _SETTINGS for part in ("-c", setting)), *args]


def _start(command: list[str], git: str, source: BinaryIO) -> subprocess.Popen[bytes]:
    running = _gitpython(git)("/").execute(command, istream=source, as_process=True, start_new_session=True)
    process = cast("subprocess.Popen[bytes]", running.proc)
    running.proc = None  # ours to end; gitpython's wrapper would stop it when it goes out of scope
    return process


@cache
def _gitpython(git: str) -> type[Git]:
    """gitpython's class, imported so that it does not try the first ``git`` of the caller's PATH."""
    settings = {"GIT_PYTHON_GIT_EXECUTABLE": git, "GIT_PYTHON_REFRESH": "quiet"}
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        from git import Git
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            os.environ.update({} if value is None else {name: value})
    return Git


@contextmanager
def stream(
    directory: Path | None, *args: str, outside: Path, stdin: bytes = b"", env: Mapping[str, str] | None = None
) -> Iterator[BinaryIO]:
    """Standard output of ``git ARGS`` with ``directory`` as its git directory; the process is gone afterwards.

    ``outside``: the target repository, from which no program is taken. ``env``: further variables.
    Raises GitMissing, GitFailure on a status other than 0, RepositoryError after ``SECONDS``.
    """
    search = _search_path(outside)
    git = _program("git", search, outside)
    command = _command(git, search, directory, args, outside, env or {})
    last: deque[bytes] = deque(maxlen=20)
    late = threading.Event()
    with tempfile.TemporaryFile() as source:
        source.write(stdin)
        source.seek(0)
        process = _start(command, git, cast("BinaryIO", source))
        assert process.stdout is not None
        assert process.stderr is not None
        drain = threading.Thread(target=last.extend, args=(process.stderr,), daemon=True)
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
        raise GitFailure(f"git {args[0]} failed: {_reason(last) or f'status {status}'}", "see whether the repository is sound: git fsck")


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _reason(lines: deque[bytes]) -> str:
    text = [line.decode("utf-8", "replace").strip() for line in lines]
    told = [line for line in text if line.startswith(("fatal:", "error:"))] or text[-1:]
    return "".join(letter if letter.isprintable() else "?" for letter in "; ".join(told[:3])[:500])


def run(directory: Path | None, *args: str, outside: Path, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> bytes:
    """Standard output of a git command. Raises as ``stream`` does, and RepositoryError when it is larger than ``OUTPUT``."""
    with stream(directory, *args, outside=outside, stdin=stdin, env=env) as output:
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
