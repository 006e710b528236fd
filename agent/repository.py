"""The user's repository: where it keeps what, and a safe way to look at it and to add a branch to it.

Its configuration and hooks never reach git: commands get a *stand-in* for its git directory.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import tempfile
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from fixbot.agent import git
from fixbot.agent.errors import RepositoryError

__all__ = [
    "Repository",
    "check_owner",
    "checked_out",
    "circumstances",
    "copy_commit",
    "current",
    "discover",
    "give_to_owner",
    "head",
    "refuse_links",
    "stand_in",
    "tip",
]

logger = logging.getLogger(__name__)

_KEYS = r"^(extensions\.(objectformat|refstorage)|core\.sharedrepository)$"
_UNDERWAY = {
    "rebase-merge": "a rebase",
    "rebase-apply": "a rebase",
    "MERGE_HEAD": "a merge",
    "CHERRY_PICK_HEAD": "a cherry-pick",
    "REVERT_HEAD": "a revert",
    "BISECT_LOG": "a bisection",
}
_SPARSE = "[core]\nsparseCheckout = true\nsparseCheckoutCone = true\n[index]\nsparse = true\n"
_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_VALUE = re.compile(r"[a-z0-9]{1,16}")


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
def stand_in(repository: Repository, folder: Path | None = None, *, writable: bool = False) -> Generator[Path]:
    """A throw-away git directory with the target's objects, refs and HEAD, but with fixbot's configuration and no hooks.

    Made in ``folder`` (default: the system's temporary folder). Objects that git makes there (to read a sparse index it does) end with
    it, unless it is ``writable``: then they land in the target as refs do. Raises RepositoryError.
    """
    with ExitStack() as stack:
        try:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fixbot-", dir=folder)))
            _furnish(repository, directory, writable)
        except OSError as error:
            raise RepositoryError(f"{repository.root} cannot be looked at: {error}", "see who may read it, and free disk space") from error
        yield directory


def _furnish(repository: Repository, directory: Path, writable: bool) -> None:
    if not writable:
        (directory / "objects" / "info").mkdir(parents=True)
        quoted = re.sub(rb'(["\\])', rb"\\\1", os.fsencode(repository.common / "objects")).replace(b"\n", b"\\n")
        (directory / "objects" / "info" / "alternates").write_bytes(b'"%s"\n' % quoted)
    for part in (*(["objects"] if writable else []), "refs", "packed-refs", "logs", "reftable"):
        if (repository.common / part).exists():
            (directory / part).symlink_to(repository.common / part)
    for part in ("HEAD", "ORIG_HEAD", "MERGE_HEAD", "FETCH_HEAD"):
        _copy(repository.directory / part, directory / part)
    if (repository.directory / "HEAD").is_symlink():
        (directory / "HEAD").write_bytes(b"ref: " + os.fsencode(os.readlink(repository.directory / "HEAD")) + b"\n")
    for shared in repository.directory.glob("sharedindex.*"):  # reading one touches its time stamp
        _copy(shared, directory / shared.name)
    index = repository.directory / "index"
    if not index.is_file() and os.path.lexists(index):
        raise OSError(f"{index} is not a file")
    _copy(index, directory / "index")  # git diff rewrites it, whatever GIT_OPTIONAL_LOCKS says
    (directory / "info").mkdir()
    _copy(repository.common / "shallow", directory / "shallow")
    _copy(repository.common / "info" / "exclude", directory / "info" / "exclude")
    sparse = index.is_file() and b"sdir\0\0\0\0" in index.read_bytes()
    if sparse:  # git must not spread it out: that touches the time stamps of objects
        _copy(repository.directory / "info" / "sparse-checkout", directory / "info" / "sparse-checkout")
    (directory / "config").write_text(_configuration(repository) + (_SPARSE if sparse else ""), "utf-8")


def _copy(source: Path, target: Path) -> None:
    if source.is_file():
        if source.stat().st_size > git.OUTPUT:
            raise OSError(f"{source} is larger than {git.OUTPUT >> 20} MiB")
        shutil.copyfile(source, target)
        shutil.copystat(source, target)  # a newer index would hide changes made in the same instant


def _configuration(repository: Repository) -> str:
    """Configuration of a stand-in: of the target's own, only how refs, objects and file modes are laid out."""
    listed = b""
    if (repository.common / "config").is_file():
        query = ("config", "--file", str(repository.common / "config"), "--no-includes", "--null", "--get-regexp", _KEYS)
        listed = git.attempt(None, *query, outside=repository.root) or b""
    found = dict(item.decode("utf-8", "replace").lower().split("\n", 1) for item in listed.split(b"\0") if b"\n" in item)
    kept = {key: value for key, value in found.items() if _VALUE.fullmatch(value)}
    lines = ["[core]", f"repositoryformatversion = {int('extensions.' in str(kept))}", f"bare = {str(repository.bare).lower()}"]
    lines += ["fileMode = false", f"logAllRefUpdates = {str((repository.common / 'logs').is_dir()).lower()}"]
    lines += ["[{}]\n{} = {}".format(*key.split("."), value) for key, value in kept.items()]
    return "\n".join(lines) + "\n"


def check_owner(repository: Repository) -> None:
    """Raises RepositoryError when a part of the repository belongs to another user."""
    for folder in (repository.root, repository.directory, repository.common):
        owner = folder.stat().st_uid
        if owner != os.geteuid():
            raise RepositoryError(
                f"{folder} belongs to user {owner}, fixbot runs as user {os.geteuid()}", "run as its owner, or pass --trust-owner"
            )


def tip(directory: Path, ref: str, repository: Repository) -> str | None:
    """Commit that a ref is at, None when there is no such ref."""
    found = git.attempt(directory, "rev-parse", "--verify", "--quiet", ref, outside=repository.root)
    return None if found is None else found.decode().strip()


def checked_out(repository: Repository) -> set[str]:
    """Refs that HEAD of one of the work trees names."""
    heads = (repository.common / "HEAD", *repository.common.glob("worktrees/*/HEAD"))
    return {os.fsdecode(head.read_bytes()[:4096]).removeprefix("ref:").strip() for head in heads if head.is_file()}


def refuse_links(common: Path, ref: str) -> None:
    """Raises RepositoryError where a linked folder or file would make git write ``ref`` outside the repository ``common``."""
    places = [common / "objects", common / "logs", *(common / "objects").iterdir()]
    for top in (common, common / "logs"):
        part = top
        for name in ref.split("/"):
            part = part / name
            places.append(part)
    for place in places:
        if place.is_symlink():
            raise RepositoryError(f"{place} is a symbolic link; git would write where it points", "replace it by what it points to")


def give_to_owner(common: Path, since: float) -> None:
    """Files that root made in another user's repository after ``since`` become that user's, who could not go on working otherwise."""
    owner = common.stat()
    if os.geteuid() or owner.st_uid == 0:
        return
    for top in filter(os.path.isdir, (common / part for part in ("objects", "refs", "logs"))):
        for _, folders, files, handle in os.fwalk(top):
            for name in (*folders, *files):
                found = os.stat(name, dir_fd=handle, follow_symlinks=False)
                if found.st_uid == 0 and found.st_ctime > since - 1 and (name in folders or found.st_nlink == 1):
                    os.chown(name, owner.st_uid, owner.st_gid, dir_fd=handle, follow_symlinks=False)


def copy_commit(directory: Path, draft: Path, outside: Path) -> Generator[str]:
    """Clones HEAD, detached and without any branch; without its history where parts of that are missing (partial clone).

    Yields what a person should know. Raises RepositoryError.
    """
    flags = ("--quiet", "--no-local", "--template=", "--no-checkout", "--no-tags", "--no-recurse-submodules", "--single-branch")
    allow = {"GIT_ALLOW_PROTOCOL": "file"}
    try:
        git.run(None, "clone", *flags, "--", str(directory), str(draft), outside=outside, env=allow)
    except git.GitFailure as failure:
        logger.info("%s", failure.message)
        git.run(None, "clone", *flags, "--depth=1", "--", str(directory), str(draft), outside=outside, env=allow)
        yield "incomplete history: only the commit itself was copied"
    inner = draft / ".git"
    git.run(inner, "update-ref", "--no-deref", "HEAD", (directory / "HEAD").read_text("utf-8").strip(), outside=outside)
    guessed = git.run(inner, "for-each-ref", "--format=delete %(refname)", outside=outside)
    git.run(inner, "update-ref", "--no-deref", "--stdin", outside=outside, stdin=guessed)


def head(path: Path) -> str:
    """The commit that the repository that holds ``path`` is at. Raises RepositoryError."""
    repository = discover(path)
    with stand_in(repository) as directory:
        return current(repository, directory)[0]


def current(repository: Repository, directory: Path, wanted: str | None = None) -> tuple[str, str | None]:
    """Commit and branch that the user is on; the branch is None when detached.

    ``wanted`` is a commit's id to take in the place of that one. Raises RepositoryError when there is no such commit.
    """
    base = git.attempt(directory, "rev-parse", "--verify", "--quiet", "HEAD^{commit}", outside=repository.root)
    named = git.attempt(directory, "symbolic-ref", "--quiet", "HEAD", outside=repository.root)
    name = os.fsdecode(named or b"").strip()
    if base is None:
        if named and git.attempt(directory, "rev-parse", "--verify", "--quiet", name, outside=repository.root) is None:
            raise RepositoryError(f"{repository.root} has no commit to work from", "make one: git add . && git commit")
        raise RepositoryError(
            f"the commit that HEAD of {repository.root} names cannot be read", "see whether the repository is sound: git fsck"
        )
    branch = name.removeprefix("refs/heads/") if name.startswith("refs/heads/") else None
    if wanted is None:
        return base.decode().strip(), branch
    if not _ID.fullmatch(wanted) or git.attempt(directory, "cat-file", "-e", f"{wanted}^{{tree}}", outside=repository.root) is None:
        raise RepositoryError(f"commit {wanted[:12]} is no longer in {repository.root}", "check it out, or start a new run")
    return wanted, branch


def circumstances(repository: Repository, base: str, head: str | None) -> Generator[str]:
    """What a person should know about the state that the repository is in, one sentence each."""
    where = f"the run works on HEAD ({base[:7]})"
    for name in sorted({text for part, text in _UNDERWAY.items() if (repository.directory / part).exists()}):
        yield f"{name} is in progress: {where}"
    if head is None:
        yield f"detached HEAD: {where}"
    if (repository.common / "shallow").is_file():
        yield "shallow clone"
