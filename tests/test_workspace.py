"""The private clone and its way back, on real repositories in every state, hostile ones among them."""

from __future__ import annotations

import hashlib
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fixbot.agent import git as runner
from fixbot.agent import workspace as ws
from fixbot.agent.errors import BusyError, RepositoryError, UsageError
from fixbot.patchers.patch import blob_id

CLEAN = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    **{f"GIT_{who}_{what}": "a@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}
SETTINGS = ("-c", "protocol.file.allow=always", "-c", "init.defaultBranch=main", "-c", "safe.directory=*")


def git(folder: Path, *args: str, stdin: bytes = b"") -> str:
    done = subprocess.run(["git", *SETTINGS, *args], cwd=folder, env=CLEAN, input=stdin, capture_output=True, check=True)
    return os.fsdecode(done.stdout).strip()


def make(folder: Path, *init: str, files: dict[str, str] | None = None) -> Path:
    folder.mkdir(parents=True)
    git(folder, "init", "-q", *init)
    for name, text in (files or {"a.py": "x = 1\n", "pkg/b.py": "y = 1\ny = 2\ny = 3\n", "run.sh": "#!/bin/sh\n"}).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    if (folder / "run.sh").exists():
        (folder / "run.sh").chmod(0o755)
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "one")
    return folder


def snapshot(top: Path) -> dict[str, tuple[object, ...]]:
    """Mode, time stamp and content of everything below ``top``, ``.git`` and index included."""
    found: dict[str, tuple[object, ...]] = {}
    for folder, folders, files in os.walk(os.fsencode(top)):
        for name in (*folders, *files, b"."):
            path = os.path.join(folder, name)
            info = os.lstat(path)
            content = os.readlink(path) if stat.S_ISLNK(info.st_mode) else b""
            if stat.S_ISREG(info.st_mode):
                with open(path, "rb") as file:
                    content = hashlib.sha256(file.read()).digest()
            found[os.fsdecode(os.path.relpath(path, os.fsencode(top)))] = (info.st_mode, info.st_mtime_ns, info.st_uid, content)
    return found


def difference(before: dict[str, tuple[object, ...]], after: dict[str, tuple[object, ...]]) -> set[str]:
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def cycle(repo: Path, state: Path) -> tuple[ws.Workspace, str]:
    """The whole way of a fix, through every call that touches git."""
    ws.list_files(repo)
    space = ws.open_workspace(repo, state, "r1")
    if ws.list_files(repo) is not None:
        ws.changed_lines(repo, "HEAD")
    branch = ws.free_branch(space, "fixbot/x")
    sha = ws.commit(space, branch, {"a.py": b"x = 2\r\n", "pkg/new.py": b"z\n"}, "fix: x\n\nbecause", space.base)
    ws.export(space, state / f"export-{sha}", sha)
    ws.deliver(space, branch, sha)
    return space, sha


@pytest.fixture(autouse=True)
def _quiet_environment(monkeypatch: pytest.MonkeyPatch):
    for name in [name for name in os.environ if name.startswith(("GIT_", "FIXBOT_", "XDG_"))]:
        monkeypatch.delenv(name)


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    return make(tmp_path / "repo")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def name_of(function: Callable[..., object]) -> str:
    return function.__name__


# --- every state that a repository is found in


def dirty(repo: Path) -> Path:
    (repo / "a.py").write_text("x = 9\n")
    (repo / "pkg/b.py").write_text("staged\n")
    git(repo, "add", "pkg/b.py")
    (repo / "untracked.py").write_text("")
    return repo


def rebasing(repo: Path) -> Path:
    git(repo, "checkout", "-qb", "side")
    for branch, text in (("side", "x = 5\n"), ("main", "x = 6\n")):
        git(repo, "checkout", "-q", branch)
        (repo / "a.py").write_text(text)
        git(repo, "commit", "-qam", branch)
    with pytest.raises(subprocess.CalledProcessError):
        git(repo, "rebase", "side")
    return repo


def detached(repo: Path) -> Path:
    git(repo, "checkout", "-q", "--detach")
    git(repo, "commit", "-q", "--allow-empty", "-m", "on no branch")
    return repo


def odd_head(repo: Path) -> Path:
    git(repo, "update-ref", "refs/odd/place", "HEAD")
    git(repo, "symbolic-ref", "HEAD", "refs/odd/place")
    return repo


def cloned(repo: Path, *flags: str) -> Path:
    git(repo, "commit", "-q", "--allow-empty", "-m", "two")
    git(repo, "config", "uploadpack.allowFilter", "true")
    git(repo.parent, "clone", "-q", *flags, repo.as_uri(), "other")
    return repo.parent / "other"


def linked(repo: Path) -> Path:
    git(repo, "worktree", "add", "-q", "-b", "wt", "../other")
    (repo.parent / "other/a.py").write_text("x = 1\nw = 1\n")
    git(repo.parent / "other", "commit", "-qam", "in the work tree")
    return repo.parent / "other"


def sparse(repo: Path) -> Path:
    git(repo, "sparse-checkout", "init", "--cone", "--sparse-index")
    git(repo, "sparse-checkout", "set", "--cone", "other")
    return repo


def split(repo: Path) -> Path:
    git(repo, "update-index", "--split-index")
    for shared in (repo / ".git").glob("sharedindex.*"):
        os.utime(shared, (1, 1))
    return repo


def locked(repo: Path) -> Path:
    (repo / ".git/index.lock").write_bytes(b"")
    return repo


def packed(repo: Path) -> Path:
    git(repo, "pack-refs", "--all")
    git(repo, "gc", "-q")
    return repo


def submodule(repo: Path) -> Path:
    make(repo.parent / "outer")
    git(repo.parent / "outer", "submodule", "add", "-q", str(repo), "sub")
    return repo.parent / "outer/sub"


def outer(repo: Path) -> Path:
    inner = submodule(repo)
    git(inner.parent, "commit", "-qm", "with a submodule")
    return inner.parent


def oddly_named(repo: Path) -> Path:
    return repo.rename(repo.parent / "a b\n\"é'$(x)\\%s")


def borrowing(repo: Path) -> Path:
    git(repo.parent, "clone", "-q", "--shared", str(repo), "other")
    return repo.parent / "other"


def new_format(repo: Path) -> Path:
    return make(repo.parent / "sha256", "--object-format=sha256")


def group_shared(repo: Path) -> Path:
    git(repo, "config", "core.sharedRepository", "group")
    return repo


STATES: dict[Callable[[Path], Path], str | None] = {
    dirty: "work tree has uncommitted changes: the run works on HEAD",
    rebasing: "a rebase is in progress",
    detached: "detached HEAD",
    odd_head: "detached HEAD",
    linked: None,
    sparse: None,
    split: None,
    locked: None,
    packed: None,
    submodule: None,
    outer: "submodules are not followed: sub",
    oddly_named: None,
    borrowing: None,
    new_format: None,
    group_shared: None,
}
CLONES: dict[tuple[str, ...], str | None] = {
    ("--bare",): None,
    ("--depth=1",): "shallow clone",
    ("--filter=blob:none",): None,
    ("--filter=tree:0",): None,
}


@pytest.mark.parametrize("prepare", STATES, ids=name_of)
def test_state(prepare: Callable[[Path], Path], repo: Path, state: Path):
    check_state(prepare(repo), state, STATES[prepare])


@pytest.mark.parametrize("flags", CLONES, ids=str)
def test_kind_of_clone(flags: tuple[str], repo: Path, state: Path):
    check_state(cloned(repo, *flags), state, CLONES[flags])


def check_state(target: Path, state: Path, note: str | None):
    everything = snapshot(target.parent)
    before = git(target, "rev-parse", "HEAD")
    space = ws.open_workspace(target, state, "r1")
    assert space.base == before
    assert space.repository == ws.locate(target) == target
    assert note is None or any(one.startswith(note) for one in space.notes)
    assert (space.root / "a.py").read_bytes() == ws.read(space, space.base, "a.py") == git(target, "show", "HEAD:a.py").encode() + b"\n"
    sha = ws.commit(space, "fixbot/x", {"a.py": b"x = 2\r\n", "run.sh": b"new\n", "pkg/new.py": b"z"}, "fix", space.base)
    assert difference(everything, {k: v for k, v in snapshot(target.parent).items() if not k.startswith("state")}) <= {"."}
    ws.deliver(space, "fixbot/x", sha)
    assert git(target, "log", "-1", "--format=%P %an <%ae> %s", "fixbot/x") == f"{before} fixbot <fixbot@users.noreply.github.com> fix"
    assert git(target, "diff", "--name-status", before, sha).split() == ["M", "a.py", "A", "pkg/new.py", "M", "run.sh"]
    assert git(target, "ls-tree", sha, "run.sh").startswith("100755")
    git(target, "rev-list", "--objects", sha)
    assert ws.read(space, sha, "a.py") == b"x = 2\r\n"
    common = (target / git(target, "rev-parse", "--git-common-dir")).resolve().relative_to(target.parent).as_posix()
    allowed = {f"{common}/{part}" for part in ("refs/heads", "refs/heads/.", "logs/refs/heads", "logs/refs/heads/.")}
    for name in difference(everything, snapshot(target.parent)) - {"."}:
        inside = name.removeprefix(f"{common}/")
        assert name.startswith("state") or name in allowed or inside.startswith(("objects", "refs/heads/fixbot", "logs/refs/heads/fixbot"))


def test_no_commit(tmp_path: Path, state: Path):
    (tmp_path / "repo").mkdir()
    git(tmp_path / "repo", "init", "-q")
    with pytest.raises(RepositoryError, match="no commit to work from"):
        ws.open_workspace(tmp_path / "repo", state, "r1")


def test_missing_commit(repo: Path, state: Path):
    sha = git(repo, "rev-parse", "HEAD")
    (repo / ".git/objects" / sha[:2] / sha[2:]).unlink()
    with pytest.raises(RepositoryError, match="cannot be read"):
        ws.open_workspace(repo, state, "r1")


def test_not_a_repository(tmp_path: Path, repo: Path):
    with pytest.raises(RepositoryError, match="git init"):
        ws.locate(tmp_path)
    with pytest.raises(RepositoryError):
        ws.locate(tmp_path / "nowhere")
    (tmp_path / "moved").mkdir()
    (tmp_path / "moved/.git").write_text("gitdir: /nowhere\n")
    with pytest.raises(RepositoryError, match="points to /nowhere"):
        ws.locate(tmp_path / "moved")
    assert ws.list_files(tmp_path) is None
    assert ws.locate(repo / "pkg" / "b.py") == repo


def test_planted_bare_repository_is_part_of_the_tree(repo: Path):
    git(repo, "init", "-q", "--bare", "pkg/x.git")
    (repo / "pkg/x.git/hooks").mkdir(exist_ok=True)
    assert ws.locate(repo / "pkg/x.git/hooks") == repo
    assert ws.locate(repo / "pkg/x.git") == repo / "pkg/x.git"


def test_state_folder_in_the_repository(repo: Path):
    before = snapshot(repo)
    with pytest.raises(UsageError, match="FIXBOT_STATE_DIR"):
        ws.open_workspace(repo, repo / "state", "r1")
    assert snapshot(repo) == before


@pytest.mark.parametrize("run", ["", "..", "a/b", "-x", "a\n"])
def test_run_name(run: str, repo: Path, state: Path):
    with pytest.raises(UsageError):
        ws.open_workspace(repo, state, run)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_repository_of_another_user(repo: Path, state: Path):
    for folder, folders, files in os.walk(repo):
        for name in (*folders, *files, "."):
            os.chown(os.path.join(folder, name), 65534, 65534)
    with pytest.raises(RepositoryError, match=r"(?s)belongs to user 65534.*--trust-owner"):
        ws.open_workspace(repo, state, "r1")
    assert ws.list_files(repo) == ["a.py", "pkg/b.py", "run.sh"]
    space = ws.open_workspace(repo, state, "r1", trust_owner=True)
    ws.deliver(space, "fixbot/x", ws.commit(space, "fixbot/x", {"a.py": b""}, "m", space.base))
    assert {info[2] for info in snapshot(repo).values()} == {65534}


# --- listing and comparing the user's work tree


def test_list_files(repo: Path, tmp_path: Path):
    (repo / ".gitignore").write_text("ignored*\n")
    (repo / ".git/info").mkdir(exist_ok=True)
    (repo / ".git/info/exclude").write_text("excluded.py\n")
    odd = ["new\nline.py", "tab\t.py", os.fsdecode(b"latin\xe9.py"), "é.py", "-rf.py"]
    for name in ("ignored.py", "excluded.py", "untracked.py", *odd):
        (repo / name).write_text("")
    make(repo / "nested")
    make(tmp_path / "lib")
    git(repo, "submodule", "add", "-q", str(tmp_path / "lib"), "sub")
    (repo / "gone").mkdir()
    (repo / "gone/c.py").write_text("")
    git(repo, "add", "gone")
    (repo / "gone/c.py").unlink()
    (repo / "gone").rmdir()
    (repo / "gone").symlink_to(tmp_path / "lib")
    (repo / "link.py").symlink_to("/etc/passwd")
    before = snapshot(repo)
    assert ws.list_files(repo) == sorted(
        [".gitignore", ".gitmodules", "a.py", "pkg/b.py", "run.sh", "untracked.py", "gone", "link.py", *odd]
    )
    assert ws.list_files(repo / "pkg") == ["b.py"]
    assert ws.list_files(repo / "sub") == ["a.py", "pkg/b.py", "run.sh"]
    assert ws.list_files(repo / "a.py") is None
    assert snapshot(repo) == before


def test_is_dirty_and_files(repo: Path, state: Path):
    (repo / "link").symlink_to("a.py")
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "link")
    (repo / "untracked.py").write_text("")
    os.utime(repo / "run.sh", (1, 1))
    assert not ws.is_dirty(repo)
    space = ws.open_workspace(repo, state, "r1")
    assert ws.files(space) == ["a.py", "pkg/b.py", "run.sh"]
    assert ws.files(space, ws.commit(space, "x", {"c.py": b""}, "m", space.base)) == ["a.py", "c.py", "pkg/b.py", "run.sh"]
    info = (repo / "a.py").stat()
    (repo / "a.py").write_text("x = 2\n")  # same size, same time stamp as when it was added
    os.utime(repo / "a.py", ns=(info.st_atime_ns, info.st_mtime_ns))
    (repo / "pkg/b.py").chmod(0o755)
    before = snapshot(repo)
    assert ws.is_dirty(repo / "pkg")
    assert snapshot(repo) == before


def test_list_files_sparse_and_bare(repo: Path):
    assert ws.list_files(sparse(repo)) == ["a.py", "run.sh"]
    assert ws.list_files(cloned(repo, "--bare")) is None


def test_list_files_without_git_or_index(repo: Path, monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as patch:
        patch.setenv("PATH", "/nonexistent")
        assert ws.list_files(repo) is None
    (repo / ".git/index").write_bytes(b"DIRC broken")
    assert ws.list_files(repo) is None
    (repo / ".git/index").unlink()
    os.mkfifo(repo / ".git/index")
    assert ws.list_files(repo) is None
    (repo / ".git/index").unlink()
    (repo / ".git/index").touch()
    os.truncate(repo / ".git/index", 1 << 40)
    assert ws.list_files(repo) is None


def test_changed_lines(repo: Path):
    names = ["new.py", 'q"\t\\é.py', "with space.py", "old.bin", "run.sh"]
    for name in names[1:4]:
        (repo / name).write_text("1\n2\n3\n4\n")
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "two")
    (repo / "pkg/b.py").write_text("y = 1\n++ b/zz\ny = 3\nmore\nmore\n")
    (repo / names[0]).write_text("1\n2")
    (repo / names[1]).write_text("1\n3\n4\n")
    (repo / names[2]).write_text("1\n2\n3\n4")
    (repo / names[3]).write_bytes(b"\0\n\n")
    (repo / "run.sh").chmod(0o644)
    (repo / "a.py").unlink()
    git(repo, "add", "pkg/b.py")
    before = snapshot(repo)
    assert ws.changed_lines(repo, "HEAD") == {
        "pkg/b.py": [(2, 2), (4, 5)],
        names[0]: [(1, 2)],
        names[1]: [(1, 2)],
        names[2]: [(4, 4)],
        names[3]: [(1, 2)],
    }
    assert ws.changed_lines(repo / "pkg", "main~1") == {"b.py": [(2, 2), (4, 5)]}
    assert set(ws.changed_lines(repo, "HEAD~1")) == {"pkg/b.py", *names[:4]}
    assert snapshot(repo) == before
    for wrong in ("nowhere", "--output=x", "HEAD:a.py"):
        with pytest.raises(UsageError, match="names no commit"):
            ws.changed_lines(repo, wrong)
    assert not (repo / "x").exists()


# --- nothing of the repository is executed

HOOKS = (
    "post-checkout",
    "reference-transaction",
    "post-index-change",
    "pre-auto-gc",
    "post-commit",
    "pre-commit",
    "pre-push",
    "post-merge",
)


def option(*pairs: tuple[str, str]) -> Callable[[Path, Path], None]:
    def apply(repo: Path, script: Path) -> None:
        for key, value in pairs:
            git(
                repo,
                "config",
                key.format(clone=repo.parent / "state/runs/r1/clone/.git", script=script),
                value.format(script=script, repo=repo),
            )

    return apply


def hooks(repo: Path, script: Path) -> None:
    (repo / ".git/hooks").mkdir(exist_ok=True)
    for name in HOOKS:
        (repo / ".git/hooks" / name).symlink_to(script)


def hooks_path(repo: Path, script: Path) -> None:
    hooks(repo, script)
    (repo / ".git/hooks").rename(repo / "hk")
    git(repo, "config", "core.hooksPath", str(repo / "hk"))


def per_work_tree(repo: Path, script: Path) -> None:
    git(repo, "config", "extensions.worktreeConfig", "true")
    (repo / ".git/config.worktree").write_text(f"[core]\n\tfsmonitor = {script}\n")


def included(repo: Path, script: Path) -> None:
    (repo / "inc").write_text(f"[core]\n\tfsmonitor = {script}\n")
    git(repo, "config", "include.path", "../inc")


def promisor(repo: Path, script: Path) -> None:
    option(*EVIL_REMOTE, ("remote.origin.promisor", "true"), ("extensions.partialClone", "origin"))(repo, script)
    (repo / "a.py").write_text("x = 3\n")
    git(repo, "commit", "-qam", "three")
    lost = git(repo, "rev-parse", "HEAD~1:a.py")
    (repo / ".git/objects" / lost[:2] / lost[2:]).unlink()


def alternates(repo: Path, script: Path) -> None:
    (repo / ".git/objects/info/alternates").write_text(str(make(repo.parent / "alt") / ".git/objects") + "\n")
    git(repo, "config", "core.alternateRefsCommand", str(script))


def info_attributes(repo: Path, script: Path) -> None:
    (repo / ".git/info").mkdir(exist_ok=True)
    (repo / ".git/info/attributes").write_text("* filter=evil diff=evil merge=evil\n")
    option(("filter.evil.smudge", "{script}"), ("filter.evil.clean", "{script}"), ("filter.evil.process", "{script}"))(repo, script)


EVIL_REMOTE = (("remote.origin.url", "{repo}"), ("remote.origin.uploadpack", "{script}"), ("remote.origin.receivepack", "{script}"))
FSMONITOR = option(("core.fsmonitor", "{script}"))
FILTER = option(("filter.evil.clean", "{script}"), ("filter.evil.smudge", "{script}"))
TEXTCONV = option(("diff.evil.textconv", "{script}"))
UPLOADPACK = option(*EVIL_REMOTE)
SETTINGS_OF_A_PROGRAM = option(
    ("diff.evil.command", "{script}"),
    ("diff.external", "{script}"),
    ("merge.evil.driver", "{script} %O %A %B"),
    *((f"{name}.pager", "{script}") for name in ("core", "log", "diff")),
    *(("gpg.program", "{script}"), ("commit.gpgSign", "true"), ("tag.gpgSign", "true"), ("log.showSignature", "true")),
    *((f"alias.{name}", "!{script}") for name in ("status", "ls-files", "rev-parse", "clone", "fetch", "diff")),
    *((name, "{script}") for name in ("core.editor", "sequence.editor", "core.askPass", "uploadpack.packObjectsHook")),
    *((f"remote.{place}.{key}", "{script}") for place in ("../state/runs/r1/clone/.git", "{clone}") for key in ("uploadpack", "vcs")),
)
VECTORS = {
    "settings": (SETTINGS_OF_A_PROGRAM, FSMONITOR, TEXTCONV, FILTER, UPLOADPACK),
    "filter process": (option(("filter.evil.process", "{script}"), ("filter.evil.required", "true")),),
    "info/attributes, include": (info_attributes, included),
    "core.hooksPath, work tree configuration": (hooks_path, per_work_tree),
    "hooks": (hooks, option(("hook.x.command", "{script}"), ("hook.x.event", "reference-transaction"))),
    "ssh": (option(("core.sshCommand", "{script}"), ("url.ssh://h.invalid/.insteadOf", "/")),),
    "credential.helper": (option(("credential.helper", "!{script}"), ("url.http://127.0.0.1:9/.insteadOf", "/")),),
    "ext::": (option(("protocol.ext.allow", "always"), ("url.ext::{script} .insteadOf", "/"), ("protocol.allow", "always")),),
    "lazy fetch": (promisor,),
    "alternate refs, work tree elsewhere": (alternates, option(("core.worktree", "/etc"))),
}


@pytest.fixture
def hostile(tmp_path: Path) -> tuple[Path, Path, Path]:
    """A repository whose attributes name the driver ``evil``, a program, and the file that the program makes when it runs."""
    repo = make(tmp_path / "repo", files={"a.py": "x = 1\n", "pkg/b.py": "", ".gitattributes": "*.py filter=evil diff=evil merge=evil\n"})
    marker, script = tmp_path / "ran", tmp_path / "evil.sh"
    script.write_text(f'#!/bin/sh\necho "$0 $*" >> {marker}\n')
    script.chmod(0o755)
    return repo, script, marker


@pytest.mark.parametrize("vector", VECTORS)
def test_nothing_of_the_repository_runs(vector: str, hostile: tuple[Path, Path, Path], state: Path):
    repo, script, marker = hostile
    for apply in VECTORS[vector]:
        apply(repo, script)
    (repo / "a.py").write_text("x = 4\n")
    marker.unlink(missing_ok=True)
    _, sha = cycle(repo, state)
    assert not marker.exists(), marker.read_text()
    assert (repo / ".git/refs/heads/fixbot/x").read_text().strip() == sha


CONTROL = [
    (FSMONITOR, "status"),
    (included, "status"),
    (FILTER, "diff"),
    (TEXTCONV, "diff"),
    (hooks, "branch b"),
    (UPLOADPACK, "fetch origin"),
]


@pytest.mark.parametrize(("vector", "command"), [*CONTROL, (promisor, "log -p")])
def test_the_same_vectors_run_in_plain_git(vector: Callable[[Path, Path], None], command: str, hostile: tuple[Path, Path, Path]):
    repo, script, marker = hostile
    vector(repo, script)
    (repo / "a.py").write_text("x = 4\n")
    marker.unlink(missing_ok=True)
    subprocess.run(["git", *command.split()], cwd=repo, env=CLEAN, capture_output=True, check=False, timeout=20)
    assert marker.exists()


def test_programs_and_variables_of_the_caller(hostile: tuple[Path, Path, Path], state: Path, monkeypatch: pytest.MonkeyPatch):
    repo, script, marker = hostile
    (repo / "bin").mkdir()
    for name in ("git", "env", "git-upload-pack", "sh"):
        (repo / "bin" / name).symlink_to(script)
        (repo / name).symlink_to(script)
    monkeypatch.chdir(repo)
    monkeypatch.setenv("PATH", os.pathsep.join([".", "", "bin", str(repo / "bin"), os.environ["PATH"]]))
    lies = {"GIT_DIR": "/nonexistent", "GIT_INDEX_FILE": str(repo / "a.py"), "GIT_WORK_TREE": "/etc", "GIT_EXEC_PATH": str(repo)}
    lies |= {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "core.fsmonitor", "GIT_CONFIG_VALUE_0": str(script)}
    lies |= {
        "GIT_CONFIG_PARAMETERS": f"'core.fsmonitor'='{script}'",
        "GIT_TRACE": str(marker.with_name("trace")),
        "GIT_OBJECT_DIRECTORY": "/nonexistent",
    }
    for name, value in lies.items():
        monkeypatch.setenv(name, value)
    code = "import sys; from pathlib import Path; from fixbot.agent import workspace as w; s = w.open_workspace(Path(sys.argv[1]),"
    code += " Path(sys.argv[2]), 'r2'); print(s.base)"  # a new process: the import of gitpython counts too
    done = subprocess.run([sys.executable, "-P", "-c", code, repo, state], capture_output=True, text=True, check=True)
    _, sha = cycle(repo, state)
    assert not marker.exists(), marker.read_text()
    assert not marker.with_name("trace").exists()
    assert os.environ["GIT_DIR"] == "/nonexistent"
    assert "GIT_PYTHON_GIT_EXECUTABLE" not in os.environ
    assert git(repo, "rev-parse", "fixbot/x", "main").split() == [sha, done.stdout.strip()]


# --- what is written is what is committed, and only where it should be


def test_bytes_are_the_committed_ones(repo: Path, state: Path, tmp_path: Path):
    texts = {
        "crlf.py": b"a\nb\n",
        "id.py": b"# $Id$\n",
        "u.py": "é\n".encode(),
        "keep.py": b"a\r\nb\n",
        "big.bin": b"version https://git-lfs\n",
    }
    for name, data in texts.items():
        (repo / name).write_bytes(data)
    (repo / "link").symlink_to("/etc/passwd")
    git(repo, "add", "-A")
    (repo / ".gitattributes").write_text(
        "*.py text eol=crlf ident\nu.py working-tree-encoding=UTF-16\nbig.bin filter=lfs\n* export-ignore\n"
    )
    git(repo, "add", ".gitattributes")
    git(repo, "commit", "-qm", "two")
    space = ws.open_workspace(repo, state, "r1")
    ws.export(space, tmp_path / "out/copy", overlay={"run.sh": b"other\n", "pkg/c.py": b"new\n"})
    for top in (space.root, tmp_path / "out/copy"):
        assert {name: (top / name).read_bytes() for name in texts} == texts
        assert os.readlink(top / "link") == "/etc/passwd"
        assert stat.S_IMODE((top / "run.sh").stat().st_mode) == 0o755
        assert stat.S_IMODE((top / "a.py").stat().st_mode) == 0o644
    assert not (tmp_path / "out/copy/.git").exists()
    assert (tmp_path / "out/copy/run.sh").read_bytes() == b"other\n"
    assert (tmp_path / "out/copy/pkg/c.py").read_bytes() == b"new\n"
    assert not (space.root / "pkg/c.py").exists()
    with pytest.raises(UsageError, match="not empty"):
        ws.export(space, tmp_path / "out")
    with pytest.raises(RepositoryError, match="not a regular file"):
        ws.read(space, space.base, "link")


PATHS = (
    *("../x", "/etc/x", "", ".", "a.py/x", "pkg", "pkg/", "no/such/folder.py", ".git/config", "pkg/.GIT/x", ".git./x"),
    *("git~1/x", "sub/x", "link", "links/x", ".g\u200cit/x", ".git::$INDEX_ALLOCATION/x", "pkg/../a.py", "a\x00b", "sub"),
)


def test_paths_that_are_refused(repo: Path, state: Path, tmp_path: Path):
    (repo / "link").symlink_to("a.py")
    (repo / "links").symlink_to("pkg")
    git(repo, "add", "-A")
    git(repo, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},sub")
    git(repo, "commit", "-qm", "two")
    space = ws.open_workspace(repo, state, "r1")
    for path in PATHS:
        with pytest.raises(UsageError):
            ws.export(space, tmp_path / "copy", overlay={path: b"x"})
        with pytest.raises(UsageError):
            ws.commit(space, "b", {path: b"x"}, "m", space.base)
        with pytest.raises((UsageError, RepositoryError)):
            ws.read(space, space.base, path)
    assert not (tmp_path / "copy").exists()


def hand_made(repo: Path, *items: tuple[str, str, bytes]) -> str:
    """A tree with exactly these (mode, name, content or tree id)."""
    raw = b""
    for mode, name, content in items:
        blob = content.decode() if mode == "40000" else git(repo, "hash-object", "-w", "--stdin", stdin=content)
        raw += f"{mode} {name}".encode() + b"\0" + bytes.fromhex(blob)
    return git(repo, "hash-object", "-w", "-t", "tree", "--literally", "--stdin", stdin=raw)


@pytest.mark.parametrize("kind", [".git", ".GiT", "..", "link and folder", "file twice", "name too long", "no such blob"])
def test_tree_made_by_hand(kind: str, repo: Path, state: Path, tmp_path: Path):
    inner = hand_made(repo, ("100644", "evil", b"owned\n")).encode()
    out = tmp_path / "victim"
    out.mkdir()
    tree = {
        "link and folder": [("120000", "a", str(out).encode()), ("40000", "a", inner)],
        "file twice": [("100644", "a", b"1"), ("100644", "a", b"2")],
        "name too long": [("100644", "n" * 300, b"1")],
        "no such blob": [("40000", "a", inner)],
    }.get(kind, [("40000", kind, inner)])
    sha = git(repo, "commit-tree", "-m", "m", hand_made(repo, *tree))
    git(repo, "update-ref", "refs/heads/main", sha)
    if kind == "no such blob":
        lost = blob_id(b"owned\n")
        (repo / ".git/objects" / lost[:2] / lost[2:]).unlink()
    with pytest.raises(RepositoryError):
        ws.open_workspace(repo, state, "r1")
    assert not list(out.iterdir())
    assert not list(tmp_path.rglob("evil"))
    assert not (state / "runs/r1/clone").exists()


# --- branches


def test_free_branch(repo: Path, state: Path):
    space = ws.open_workspace(repo, state, "r1")
    assert ws.free_branch(space, "fixbot/x") == "fixbot/x"
    for name in ("fixbot/x", "fixbot/x-2/y"):
        git(repo, "branch", name)
    assert ws.free_branch(space, "fixbot/x") == "fixbot/x-3"
    git(repo, "pack-refs", "--all", "--prune")
    assert ws.free_branch(space, "fixbot/x") == "fixbot/x-3"
    assert ws.free_branch(space, "main/y") == "main-y"
    for wrong in ("", "a..b", "-x", "x.lock", "a b", "@{-1}", "x/", "a\0"):
        with pytest.raises(UsageError):
            ws.free_branch(space, wrong)


def test_deliver_again_and_further(repo: Path, state: Path):
    space, first = cycle(repo, state)
    before = snapshot(repo)
    ws.deliver(space, "fixbot/x", first)
    assert snapshot(repo) == before
    second = ws.commit(space, "fixbot/x", {"a.py": b"x = 3\n"}, "fix 2", first)
    with pytest.raises(RepositoryError, match="not at"):
        ws.deliver(space, "fixbot/x", first)
    ws.deliver(space, "fixbot/x", second)
    assert git(repo, "rev-parse", "fixbot/x", "fixbot/x~1").split() == [second, first]


def other_commit(repo: Path) -> None:
    git(repo, "branch", "fixbot/x", git(repo, "commit-tree", "-p", "main", "-m", "by a person", "main^{tree}"))


def at_base(repo: Path) -> None:
    git(repo, "branch", "fixbot/x")


def unborn_elsewhere(repo: Path) -> None:
    git(repo, "worktree", "add", "-q", "--detach", "../wt")
    git(repo.parent / "wt", "checkout", "-q", "--orphan", "fixbot/x")


def folder_is_a_branch(repo: Path) -> None:
    git(repo, "branch", "fixbot")


def linked_refs(repo: Path) -> None:
    (repo.parent / "victim").mkdir()
    (repo / ".git/refs/heads/fixbot").symlink_to(repo.parent / "victim")


def linked_log(repo: Path) -> None:
    (repo.parent / "victim").write_text("")
    (repo / ".git/logs/refs/heads/fixbot").mkdir()
    (repo / ".git/logs/refs/heads/fixbot/x").symlink_to(repo.parent / "victim")


def linked_objects(repo: Path) -> None:
    (repo.parent / "victim").mkdir()
    (repo / ".git/objects/pack").rmdir()
    (repo / ".git/objects/pack").symlink_to(repo.parent / "victim")


@pytest.mark.parametrize(
    "prepare",
    [other_commit, at_base, unborn_elsewhere, folder_is_a_branch, linked_refs, linked_log, linked_objects],
    ids=name_of,
)
def test_deliver_refuses(prepare: Callable[[Path], None], repo: Path, state: Path):
    prepare(repo)
    space = ws.open_workspace(repo, state, "r1")
    sha = ws.commit(space, "fixbot/x", {"a.py": b"x = 2\n"}, "fix", space.base)
    before = git(repo, "for-each-ref")
    with pytest.raises(RepositoryError):
        ws.deliver(space, "fixbot/x", sha)
    assert git(repo, "for-each-ref") == before
    victim = repo.parent / "victim"
    assert not victim.exists() or not (list(victim.iterdir()) if victim.is_dir() else victim.read_text())


def test_refs_of_the_remote_section_stay(repo: Path, state: Path):
    space = ws.open_workspace(repo, state, "r1")
    url = f"remote.{space.root / '.git'}"
    git(repo, "config", f"{url}.fetch", "+refs/heads/*:refs/heads/taken/*")
    git(repo, "config", "fetch.prune", "true")
    git(repo, "tag", "t")
    before = git(repo, "for-each-ref").splitlines()
    ws.deliver(space, "fixbot/x", ws.commit(space, "fixbot/x", {"a.py": b""}, "m", space.base))
    assert [line for line in git(repo, "for-each-ref").splitlines() if "fixbot" not in line] == before


# --- ends that come early, and others at work


def test_resume_and_remove(repo: Path, state: Path):
    space = ws.open_workspace(repo, state, "r1")
    git(repo, "commit", "-q", "--allow-empty", "-m", "meanwhile")
    inode = space.root.stat().st_ino
    assert ws.open_workspace(repo, state, "r1") == space
    assert space.root.stat().st_ino == inode
    record = state / "runs/r1/workspace.json"
    for poison in ("{", "[]", '{"version": 1, "base": "HEAD"}', record.read_text().replace(str(repo), "/elsewhere")):
        record.write_text(poison)
        assert ws.open_workspace(repo, state, "r1").base == git(repo, "rev-parse", "HEAD")
    ws.remove(space)
    assert not list((state / "runs").iterdir())


@pytest.mark.parametrize("step", ["clone", "ls-tree", "cat-file", "symbolic-ref"])
def test_killed_on_the_way(step: str, repo: Path, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    reached = tmp_path / "reached"
    (tmp_path / "bin").mkdir()
    real = subprocess.run(["sh", "-c", "command -v git"], capture_output=True, text=True, check=True).stdout.strip()
    script = (
        f'#!/bin/sh\ncase " $* " in *" {step} "*) echo $$ > {reached}.new; mv {reached}.new {reached}; sleep 60;; esac\nexec {real} "$@"\n'
    )
    (tmp_path / "bin/git").write_text(script)
    (tmp_path / "bin/git").chmod(0o755)
    code = (
        "import sys; from pathlib import Path; from fixbot.agent import workspace as w; w.open_workspace(*map(Path, sys.argv[1:3]), 'r1')"
    )
    with monkeypatch.context() as patch:
        patch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
        process = subprocess.Popen([sys.executable, "-c", code, repo, state])
        until = time.monotonic() + 20
        while not reached.exists() and time.monotonic() < until:
            time.sleep(0.02)
        process.kill()
        process.wait()
    before = snapshot(repo)
    space = ws.open_workspace(repo, state, "r1")
    os.killpg(int(reached.read_text()), signal.SIGKILL)
    assert (space.root / "a.py").read_text() == "x = 1\n"
    assert sorted(path.name for path in (state / "runs/r1").iterdir()) == ["clone", "workspace.json"]
    assert snapshot(repo) == before


def test_git_that_does_not_end(repo: Path, state: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(runner, "SECONDS", 0.5)
    (repo / ".git/refs/heads/main").unlink()
    os.mkfifo(repo / ".git/refs/heads/main")
    with pytest.raises(RepositoryError, match=r"did not end within 0\.5 s"):
        ws.open_workspace(repo, state, "r1")


def test_disk_full(repo: Path, tmp_path: Path):
    (repo / "big.bin").write_bytes(os.urandom(3 << 20))
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "big")
    (tmp_path / "small").mkdir()
    code = (
        "import sys; from pathlib import Path; from fixbot.agent import workspace as w; w.open_workspace(*map(Path, sys.argv[1:3]), 'r1')"
    )
    if subprocess.run(["unshare", "-Urm", "true"], capture_output=True, check=False).returncode:
        pytest.skip("no user namespaces here")
    inside = 'mount -t tmpfs -o size=4m,mode=700 none "$1" && exec "$2" -c "$3" "$4" "$1"'
    command = ["unshare", "-Urm", "sh", "-c", inside, "sh", tmp_path / "small", sys.executable, code, repo]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "RepositoryError" in done.stderr.splitlines()[-2]
    assert "No space left on device" in done.stderr


def test_lock(repo: Path, state: Path):
    code = "import sys, time; from pathlib import Path; from fixbot.agent import workspace as w\n"
    code += "with w.lock(*map(Path, sys.argv[1:3])): print('held', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code, state, repo], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        (repo.parent / "alias").symlink_to(repo)
        with pytest.raises(BusyError, match=f"process {other.pid}, started 2"), ws.lock(state, repo.parent / "alias"):
            pass
        with ws.lock(state, repo.parent):
            pass
        other.kill()
    with ws.lock(state, repo), pytest.raises(BusyError, match=f"process {os.getpid()}"), ws.lock(state, repo):
        pass
    with ws.lock(state, repo):
        assert list((state / "locks").glob("*.json"))
    assert not list((state / "locks").glob("*.json"))


def test_state_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    monkeypatch.setenv("FIXBOT_STATE_DIR", str(tmp_path / "a/b"))
    assert ws.state_dir() == tmp_path / "a/b"
    assert stat.S_IMODE((tmp_path / "a/b").stat().st_mode) == 0o700
    (tmp_path / "a/b").chmod(0o777)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    assert ws.state_dir() == tmp_path / "xdg/fixbot"
    assert "only they may write" in caplog.text
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path / "home é"))
    assert ws.state_dir() == tmp_path / "home é/.local/state/fixbot"
    monkeypatch.setenv("HOME", "/dev/null")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert ws.state_dir() == tmp_path / f"fixbot-{os.geteuid()}"
    (tmp_path / f"fixbot-{os.geteuid()}").rmdir()
    (tmp_path / f"fixbot-{os.geteuid()}").symlink_to(tmp_path / "xdg/fixbot")
    with pytest.raises(UsageError, match="FIXBOT_STATE_DIR"):
        ws.state_dir()
