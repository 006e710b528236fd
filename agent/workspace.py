"""The private copy of a repository that a run works in, and the way back: one branch, nothing else.

The user's work tree and index are never written, and no program named by the repository is ever started (see ``git``). Files are
written from blobs by this project, not by ``git checkout``: their bytes are the committed bytes, whatever ``.gitattributes`` says.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from fixbot.agent import git, trees
from fixbot.agent import repository as repositories
from fixbot.agent.errors import RepositoryError, UsageError
from fixbot.agent.repository import Repository, discover, head, stand_in
from fixbot.agent.state import lock, private, state_dir, write_json
from fixbot.agent.trees import changed_between, changed_lines, list_files, unsafe

__all__ = [
    "FETCH",
    "Workspace",
    "branch_ref",
    "changed_between",
    "changed_lines",
    "commit",
    "deliver",
    "export",
    "files",
    "free_branch",
    "head",
    "is_dirty",
    "list_files",
    "locate",
    "lock",
    "open_workspace",
    "read",
    "remove",
    "state_dir",
    "unsafe",
]

_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_ATTRIBUTES = "* -text -ident -filter -working-tree-encoding !diff !merge\n"
FETCH = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--no-auto-maintenance", "--no-prune", "--refmap=")


@dataclass(frozen=True, slots=True)
class Workspace:
    """A run's private clone.

    ``root``: its work tree, with the files of ``base`` byte for byte. ``repository``: the user's work tree, or bare repository.
    ``base``: id of the commit that the run works on. ``head``: the user's branch, None when detached. ``notes``: what a person
    should know about the state the repository was found in.
    """

    root: Path
    repository: Path
    base: str
    head: str | None
    notes: tuple[str, ...]


def locate(path: Path) -> Path:
    """Top level of the work tree that holds ``path``, or ``path`` itself when it is a bare repository. Raises RepositoryError."""
    return discover(path).root


def open_workspace(path: Path, state: Path, run: str, *, trust_owner: bool = False, base: str | None = None) -> Workspace:
    """Makes the clone ``state/runs/<run>/clone``, or takes the one that an earlier, killed start of the same run completed.

    ``base`` is another commit than HEAD to work on.
    Raises RepositoryError: not a repository, no commit in it, another user's (unless ``trust_owner``), damaged, disk full.
    Raises UsageError: ``run`` is no plain name, or ``state`` lies in the user's repository.
    """
    repository = discover(path)
    if not _RUN.fullmatch(run):
        raise UsageError(f"{run!r} is not a name for a run", "use letters, digits, dot, dash and underscore")
    if any(state.resolve().is_relative_to(folder) for folder in (repository.root, repository.common)):
        raise UsageError(
            f"the state folder {state} lies in the repository {repository.root}", "set FIXBOT_STATE_DIR to a folder outside it"
        )
    if not trust_owner:
        repositories.check_owner(repository)
    try:
        folder = private(private(private(state) / "runs") / run)
        return _resume(folder, repository, base) or _clone(repository, folder, base)
    except OSError as error:
        raise RepositoryError(f"cannot write in {state}: {error}", "free disk space or set FIXBOT_STATE_DIR") from error


def _resume(folder: Path, repository: Repository, base: str | None) -> Workspace | None:
    """The finished clone of an earlier start; None, with all remains cleared away, when there is none that is sound."""
    clone = folder / "clone"
    kept = _recorded(folder / "workspace.json", clone)
    if kept is not None and kept.repository == repository.root and (clone / ".git").is_dir() and base in (None, kept.base):
        asked = ("cat-file", "-e", f"{kept.base}^{{tree}}")
        if git.attempt(clone / ".git", *asked, outside=repository.root) is not None:
            return kept
    _clear(folder)
    return None


def _recorded(path: Path, clone: Path) -> Workspace | None:
    try:
        found = json.loads(path.read_bytes())
        base, head, notes = str(found["base"]), found["head"], tuple(map(str, found["notes"]))
        if found["version"] != 1 or not _ID.fullmatch(base) or not isinstance(head, str | None):
            return None
        return Workspace(clone, Path(found["repository"]), base, head, notes)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _clear(folder: Path) -> None:
    (folder / "workspace.json").unlink(missing_ok=True)
    for part in (*folder.glob("clone*"), *folder.glob("fixbot-*")):
        shutil.rmtree(part, ignore_errors=True)


def _clone(repository: Repository, folder: Path, wanted: str | None) -> Workspace:
    with stand_in(repository, folder) as directory:
        base, head = repositories.current(repository, directory, wanted)
        notes = list(_notes(repository, directory, base, head)) if wanted is None else []
        (directory / "HEAD").write_text(f"{base}\n", "utf-8")
        # A name of its own: the git of a killed start may still be writing to the last one.
        draft = Path(tempfile.mkdtemp(prefix="clone-", dir=folder))
        notes += repositories.copy_commit(directory, draft, repository.root)
    inner = draft / ".git"
    (inner / "info").mkdir(exist_ok=True)
    (inner / "info" / "attributes").write_text(_ATTRIBUTES, "utf-8")
    files = trees.write(inner, base, draft, repository.root, {})
    submodules = [path for path, entry in files.items() if entry.mode == trees.SUBMODULE]
    notes += [f"submodules are not followed: {', '.join(submodules)}"] if submodules else []
    draft.rename(folder / "clone")
    workspace = Workspace(folder / "clone", repository.root, base, head, tuple(notes))
    record = {"version": 1, "repository": str(repository.root), "base": base, "head": head, "notes": notes}
    write_json(folder / "workspace.json", record)
    return workspace


def _notes(repository: Repository, directory: Path, base: str, head: str | None) -> Iterator[str]:
    where = f"the run works on HEAD ({base[:7]})"
    try:
        if trees.uncommitted(repository, directory, base):
            yield f"work tree has uncommitted changes: {where}"
    except git.GitFailure:
        yield f"the index cannot be read: {where}"
    yield from repositories.circumstances(repository, base, head)


def _inner(workspace: Workspace) -> Path:
    return workspace.root / ".git"


def _resolve(workspace: Workspace, revision: str) -> str:
    asked = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    found = git.attempt(_inner(workspace), *asked, outside=workspace.repository)
    if found is None:
        raise RepositoryError(f"the run's clone has no commit {revision!r}", "start a new run")
    return found.decode().strip()


def read(workspace: Workspace, commit: str, path: str) -> bytes:
    """Bytes of the regular file ``path`` in a commit of the clone. Raises RepositoryError when there is no such file (a link is none)."""
    if trees.unsafe(path):
        raise UsageError(f"{path!r} is not a path inside the repository", "leave that path alone")
    listed = git.run(
        _inner(workspace), "ls-tree", "-z", "--full-tree", _resolve(workspace, commit), "--", path, outside=workspace.repository
    )
    head, _, name = listed.rstrip(b"\0").partition(b"\t")
    if name != os.fsencode(path) or not head.startswith(b"100"):
        raise RepositoryError(f"{path!r} is not a regular file in commit {commit[:12]}", "look at another commit or path")
    return git.run(_inner(workspace), "cat-file", "blob", head.split()[2].decode(), outside=workspace.repository)


def export(workspace: Workspace, destination: Path, commit: str | None = None, overlay: Mapping[str, bytes] | None = None) -> None:
    """Writes the files of ``commit`` (default: the base), without ``.git``, into the empty or missing folder ``destination``.

    Links stay links, executable files executable, submodules are empty folders. ``overlay``: other content of regular files, or new
    files in folders that exist. Raises UsageError for an overlay path outside these or a folder with content, RepositoryError.
    """
    trees.write(_inner(workspace), _resolve(workspace, commit or workspace.base), destination, workspace.repository, overlay or {})


def files(workspace: Workspace, commit: str | None = None) -> list[str]:
    """The regular files of a commit (default: the base), links and submodules left out."""
    found = trees.entries(_inner(workspace), _resolve(workspace, commit or workspace.base), workspace.repository)
    return [path for path, entry in found.items() if entry.mode.startswith("100")]


def is_dirty(path: Path) -> bool:
    """Whether the work tree that holds ``path`` has uncommitted changes to tracked files. Raises RepositoryError."""
    repository = discover(path)
    with stand_in(repository) as directory:
        return trees.uncommitted(repository, directory, "HEAD", untracked=False)


def commit(workspace: Workspace, branch: str, files: Mapping[str, bytes], message: str, parent: str, when: int | None = None) -> str:
    """Commits ``files`` (as for ``export``) on top of ``parent``, sets the clone's ``branch`` to it and returns the commit's id.

    ``when`` is the commit's date in seconds since 1970 (default: now): with it the same call gives the same id. The clone's work tree
    stays as it is. Raises UsageError for a branch name or path that cannot be, RepositoryError.
    """
    inner, outside, ref = _inner(workspace), workspace.repository, branch_ref(workspace, branch)
    before = _resolve(workspace, parent)
    modes = trees.writable(trees.entries(inner, before, outside), files)
    lines: list[bytes] = []
    for path, data in files.items():
        blob = git.run(inner, "hash-object", "-w", "--stdin", outside=outside, stdin=data).decode().strip()
        lines.append(b"%s %s\t%s\0" % (modes[path].encode(), blob.encode(), os.fsencode(path)))
    with tempfile.TemporaryDirectory(prefix="fixbot-", dir=workspace.root.parent) as folder:
        index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        git.run(inner, "read-tree", before, outside=outside, env=index)
        git.run(inner, "update-index", "-z", "--index-info", outside=outside, stdin=b"".join(lines), env=index)
        tree = git.run(inner, "write-tree", outside=outside, env=index).decode().strip()
    text = message.replace("\0", "").encode("utf-8", "backslashreplace")
    dates: dict[str, str] = {} if when is None else dict.fromkeys(("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"), f"{when} +0000")
    made = git.run(inner, "commit-tree", tree, "-p", before, outside=outside, stdin=text, env=dates).decode().strip()
    git.run(inner, "update-ref", "--no-deref", ref, made, outside=outside)
    return made


def branch_ref(workspace: Workspace, branch: str) -> str:
    """``refs/heads/BRANCH``. Raises UsageError for a name that cannot be."""
    ref = f"refs/heads/{branch}"
    if "\0" in ref or git.attempt(None, "check-ref-format", ref, outside=workspace.repository) is None or branch.startswith("-"):
        raise UsageError(f"{branch!r} cannot be the name of a branch", "see git check-ref-format")
    return ref


def free_branch(workspace: Workspace, name: str) -> str:
    """``name``, or ``name-2``, ``name-3``, ...: the first that the user's repository has room for.

    Where a branch is called like one of its folders (``fixbot`` for ``fixbot/x``), slashes become dashes.
    """
    branch_ref(workspace, name)
    repository = discover(workspace.repository)
    with stand_in(repository, workspace.root.parent) as directory:
        listed = git.run(directory, "for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads", outside=repository.root)
    taken = set(os.fsdecode(listed).split("\n")) - {""}
    if any(name.startswith(f"{branch}/") for branch in taken):
        name = name.replace("/", "-")
    tries = (name if number == 1 else f"{name}-{number}" for number in count(1))
    return next(new for new in tries if not any(branch == new or branch.startswith(f"{new}/") for branch in taken))


def deliver(workspace: Workspace, branch: str, sha: str) -> None:
    """Makes ``branch`` of the clone, which must be at ``sha``, a branch of the user's repository; done when it already is.

    A branch of that name is moved on only if it is at an earlier commit of this run and not checked out. Nothing else is written
    but the objects, the ref and its log. Raises RepositoryError, UsageError for an impossible name.
    """
    ref = branch_ref(workspace, branch)
    if _resolve(workspace, ref) != sha:
        raise RepositoryError(f"branch {branch} of the run's clone is not at {sha[:12]}", "start a new run")
    repository = discover(workspace.repository)
    repositories.refuse_links(repository.common, ref)
    with stand_in(repository, workspace.root.parent, writable=True) as directory:
        old = repositories.tip(directory, ref, repository)
        if old == sha:
            return
        if old is not None and not _ours(workspace, old, sha):
            raise RepositoryError(
                f"branch {branch} exists with commits that are not of this run", "rename or delete it, or choose another name"
            )
        if ref in repositories.checked_out(repository):
            raise RepositoryError(f"branch {branch} is checked out in a work tree", "check out another branch there")
        source = (*FETCH, "--upload-pack=git-upload-pack", "--", str(_inner(workspace)), f"{ref}:{ref}")
        env = {"GIT_ALLOW_PROTOCOL": "file", **({} if repository.bare else {"GIT_WORK_TREE": str(repository.root)})}
        started = time.time()
        try:
            git.run(directory, "fetch", *source, outside=repository.root, env=env)
        finally:
            repositories.give_to_owner(repository.common, started)
        if repositories.tip(directory, ref, repository) != sha:
            raise RepositoryError(f"branch {branch} did not arrive in {repository.root}", "see whether another program writes there")


def _ours(workspace: Workspace, old: str, new: str) -> bool:
    """Whether ``old`` is a commit that this run made on the way to ``new``."""
    inner, outside = _inner(workspace), workspace.repository
    ahead = git.attempt(inner, "rev-list", f"{workspace.base}..{new}", outside=outside)
    return ahead is not None and old in ahead.decode().split()


def remove(workspace: Workspace) -> None:
    """Deletes the clone and its record, and the run's folder if nothing else is in it."""
    _clear(workspace.root.parent)
    with suppress(OSError):
        workspace.root.parent.rmdir()
