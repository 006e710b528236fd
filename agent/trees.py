"""Lists of files: what a commit holds, what a work tree holds, how the two differ; and commits written out as plain files."""

from __future__ import annotations

import logging
import os
import re
import stat
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from fixbot.agent import git
from fixbot.agent.errors import RepositoryError, UsageError
from fixbot.agent.hunks import hunks
from fixbot.agent.repository import Repository, discover, stand_in

__all__ = ["SUBMODULE", "Entry", "changed_between", "changed_lines", "entries", "list_files", "uncommitted", "unsafe", "writable", "write"]

logger = logging.getLogger(__name__)

LINK, SUBMODULE = "120000", "160000"
_CHUNK = 1 << 20
_UNTRACKED = ("-z", "--others", "--exclude-standard")
_IGNORABLE = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")  # some file systems drop these: .g<U+200C>it is .git
_DIFF = ("--no-ext-diff", "--no-textconv", "--no-color", "--no-renames", "--ignore-submodules=all")


@dataclass(frozen=True, slots=True)
class Entry:
    """One leaf of a tree: ``mode`` as git writes it (100644, 100755, 120000 for a link, 160000 for a submodule), id of its object."""

    mode: str
    id: str


def entries(directory: Path, commit: str, outside: Path) -> dict[str, Entry]:
    """Every leaf of a commit's tree by path. Raises RepositoryError for a tree that cannot be written out safely.

    That is one with ``.git``, ``..`` or an empty name in a path, with a path twice, or with a path below a file or link.
    """
    listed = git.run(directory, "ls-tree", "-r", "-z", "--full-tree", commit, outside=outside)
    found: dict[str, Entry] = {}
    for item in listed.split(b"\0")[:-1]:
        head, _, name = item.partition(b"\t")
        path = os.fsdecode(name)
        if unsafe(path) or path in found:
            raise RepositoryError(
                f"commit {commit[:12]} holds the path {path!r}, which git itself refuses to check out", "repair the history"
            )
        mode, _, identity = head.decode().split(" ")
        found[path] = Entry(mode, identity)
    if clash := found.keys() & _folders(found):
        raise RepositoryError(f"commit {commit[:12]} holds {min(clash)!r} both as a file and as a folder", "repair the history")
    return found


def unsafe(path: str) -> bool:
    """Whether a path leads outside, into ``.git`` or nowhere, on any file system."""
    return "\0" in path or any(part in ("", ".", "..") or _is_git(part) for part in path.split("/"))


def _is_git(part: str) -> bool:
    return _IGNORABLE.sub("", part).split(":")[0].rstrip(" .").casefold() in (".git", "git~1")


def _folders(paths: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for path in paths:
        while (path := path.rpartition("/")[0]) and path not in found:
            found.add(path)
    return found


def writable(found: Mapping[str, Entry], paths: Iterable[str]) -> dict[str, str]:
    """Mode of each of ``paths``: that of the regular file it names, or 100644 for a new file in a folder that exists.

    Raises UsageError for any other path: outside, in ``.git``, a link, a submodule, a folder, or below one of the first three.
    """
    folders = _folders(found) | {""}
    modes: dict[str, str] = {}
    for path in paths:
        entry = found.get(path, Entry("100644", ""))
        if unsafe(path) or path in folders or entry.mode in (LINK, SUBMODULE) or path.rpartition("/")[0] not in folders:
            raise UsageError(
                f"{path!r} is neither a regular file of the commit nor a new file in one of its folders", "leave that path alone"
            )
        modes[path] = entry.mode
    return modes


def write(directory: Path, commit: str, target: Path, outside: Path, overlay: Mapping[str, bytes]) -> dict[str, Entry]:
    """Writes a commit's files, which it returns, into the empty or missing folder ``target``; ``overlay`` has other or new content.

    Links are made last, so that nothing is ever written through one. Raises RepositoryError, UsageError as ``writable`` does.
    """
    found = entries(directory, commit, outside)
    modes = writable(found, overlay)
    plain = [(path, entry) for path, entry in found.items() if entry.mode != SUBMODULE and path not in overlay]
    plain.sort(key=lambda item: item[1].mode == LINK)
    try:
        target.mkdir(parents=True, exist_ok=True)
        if any(name != ".git" for name in os.listdir(target)):
            raise UsageError(f"{target} is not empty", "name a new folder")
        for folder in sorted(_folders(found) | {path for path, entry in found.items() if entry.mode == SUBMODULE}):
            (target / folder).mkdir(mode=0o755)
        for path, data in overlay.items():
            _write_file(target / path, modes[path], [data])
        with closing(_blobs(directory, [entry.id for _, entry in plain], outside)) as blobs:
            for (path, entry), content in zip(plain, blobs, strict=True):
                if entry.mode == LINK:
                    os.symlink(b"".join(content), os.fsencode(target / path))
                else:
                    _write_file(target / path, entry.mode, content)
    except (OSError, ValueError) as error:
        raise RepositoryError(
            f"commit {commit[:12]} cannot be written to {target}: {error}", "free disk space or set FIXBOT_STATE_DIR"
        ) from error
    return found


def _write_file(path: Path, mode: str, content: Iterable[bytes]) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(handle, "wb") as file:
        file.writelines(content)
        os.fchmod(handle, 0o755 if mode == "100755" else 0o644)


def _blobs(directory: Path, ids: Sequence[str], outside: Path) -> Generator[Iterator[bytes]]:
    """Content of each blob, in chunks that are to be used up before the next blob is asked for."""
    wanted = "".join(f"{identity}\n" for identity in ids).encode()
    with git.stream(directory, "cat-file", "--batch", "--buffer", outside=outside, stdin=wanted) as output:
        for identity in ids:
            head = output.readline().split()
            if len(head) != 3 or head[1] != b"blob":
                raise RepositoryError(f"object {identity} is missing or not a file", "see whether the repository is sound: git fsck")
            yield _chunks(output, int(head[2]))
            output.read(1)


def _chunks(output: BinaryIO, size: int) -> Iterator[bytes]:
    while size:
        data = output.read(min(size, _CHUNK))
        if not data:
            raise RepositoryError("git ended in the middle of a file", "see whether the repository is sound: git fsck")
        size -= len(data)
        yield data


def list_files(path: Path) -> list[str] | None:
    """Files below the folder ``path`` that are tracked, or untracked and not ignored: sorted, POSIX, relative to ``path``.

    Only files and links that are there; nothing in submodules, nested repositories or behind a linked folder. Names that are not
    UTF-8 come as ``os.fsdecode`` makes them. Only ignore files of the repository count, none of the machine. None when ``path`` is
    not in a work tree, when git is missing or cannot read the index. Writes nothing and runs nothing of the repository.
    """
    try:
        repository = discover(path)
        if repository.bare or not path.is_dir():
            return None
        prefix = _prefix(repository, path)
        with stand_in(repository) as directory:
            tracked = _list(repository, directory, "ls-files", *_sparse(directory), "-z", "--stage", *_below(prefix))
            untracked = _list(repository, directory, "ls-files", *_sparse(directory), *_UNTRACKED, *_below(prefix))
    except RepositoryError as error:
        logger.info("%s: not listed by git: %s", path, error.message)
        return None
    names = {name for head, _, name in (item.partition(b"\t") for item in tracked) if head.startswith((b"100", b"120"))}
    names.update(name for name in untracked if not name.endswith(b"/"))
    return sorted(name[len(prefix) :] for name in _present(repository.root, map(os.fsdecode, names)) if name.startswith(prefix))


def _sparse(directory: Path) -> tuple[str, ...]:
    return ("--sparse",) if (directory / "info" / "sparse-checkout").exists() else ()


def _prefix(repository: Repository, path: Path) -> str:
    inside = path.resolve().relative_to(repository.root).as_posix()
    return "" if inside == "." else f"{inside}/"


def _below(prefix: str) -> tuple[str, ...]:
    return ("--", prefix) if prefix else ("--",)


def _list(repository: Repository, directory: Path, *args: str) -> list[bytes]:
    """Items of a command with NUL-separated output that looks at the user's work tree and index."""
    return git.run(directory, *args, outside=repository.root, env={"GIT_WORK_TREE": str(repository.root)}).split(b"\0")[:-1]


def _present(root: Path, names: Iterable[str]) -> Iterator[str]:
    """Those of ``names`` that are files or links on the disk, and not reached through a linked folder."""
    listed = list(names)
    real = {""}
    for folder in sorted(_folders(listed)):
        if folder.rpartition("/")[0] in real and stat.S_ISDIR(_mode(root / folder)):
            real.add(folder)
    for name in listed:
        mode = _mode(root / name) if name.rpartition("/")[0] in real else 0
        if stat.S_ISREG(mode) or stat.S_ISLNK(mode):
            yield name


def _mode(path: Path) -> int:
    try:
        return os.lstat(path).st_mode
    except OSError:
        return 0


def changed_lines(path: Path, revision: str) -> dict[str, list[tuple[int, int]]]:
    """Lines of the files below ``path``, as ``list_files`` names them, that differ from ``revision``: 1-based, both ends included.

    Where lines were only taken away, the two lines around the gap. New, untracked, binary and unmerged files count as a whole;
    deleted ones are left out. Raises UsageError for an unknown revision, RepositoryError where there is no work tree.
    """
    repository = discover(path)
    if repository.bare:
        raise RepositoryError(f"{path} is a bare repository", "run fixbot in a work tree")
    prefix = _prefix(repository, path)
    with stand_in(repository) as directory:
        commit = _named(repository, directory, revision)
        changed = set(_list(repository, directory, "diff", "--name-only", "-z", *_DIFF, commit, *_below(prefix)))
        before = set(_list(repository, directory, "ls-tree", "-r", "-z", "--name-only", "--full-tree", commit))
        patch = ("diff", "--unified=0", "--src-prefix=a/", "--dst-prefix=b/", *_DIFF, commit, *_below(prefix))
        ranges = hunks(git.run(directory, *patch, outside=repository.root, env={"GIT_WORK_TREE": str(repository.root)}))
    found: dict[str, list[tuple[int, int]]] = {}
    for name in list_files(path) or ():
        full = os.fsencode(prefix + name)
        if full in ranges:
            found[name] = ranges[full]
        elif full in changed or full not in before:
            found[name] = [(1, _lines(repository.root / prefix / name))]
    return found


def changed_between(path: Path, revision: str, commit: str) -> dict[str, list[tuple[int, int]]]:
    """Lines of ``commit`` that differ from ``revision``, as ``changed_lines`` gives them, in the whole repository and by its paths.

    Neither work tree nor index counts. Raises UsageError for an unknown revision, RepositoryError.
    """
    repository = discover(path)
    with stand_in(repository) as directory:
        patch = (
            "diff",
            "--unified=0",
            "--text",
            "--diff-filter=d",
            "--src-prefix=a/",
            "--dst-prefix=b/",
            *_DIFF,
            _named(repository, directory, revision),
        )
        ranges = hunks(git.run(directory, *patch, commit, "--", outside=repository.root))
    return {os.fsdecode(name): lines for name, lines in ranges.items()}


def _named(repository: Repository, directory: Path, revision: str) -> str:
    asked = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    known = git.attempt(directory, *asked, outside=repository.root)
    if known is None:
        raise UsageError(f"{revision!r} names no commit of {repository.root}", "git log shows the commits that there are")
    return known.decode().strip()


def _lines(path: Path) -> int:
    if not stat.S_ISREG(_mode(path)):
        return 1
    with path.open("rb") as file:
        return max(1, sum(1 for _ in file))


def uncommitted(repository: Repository, directory: Path, commit: str, *, untracked: bool = True) -> bool:
    """Whether the work tree, seen through the stand-in ``directory``, has changes or, unless told otherwise, new files.

    Raises GitFailure on a damaged index.
    """
    if repository.bare:
        return False
    if _list(repository, directory, "diff", "--name-only", "-z", *_DIFF, commit, "--"):
        return True
    return untracked and bool(_list(repository, directory, "ls-files", *_sparse(directory), *_UNTRACKED, "--"))
