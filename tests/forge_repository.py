"""The bare repository behind the forge of the tests: branches and commits made, merged and looked up by git itself."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_SETTINGS = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}
ANN = ("Ann", "ann@example.org")
BOT = ("fixbot", "fixbot@users.noreply.github.com")


class Conflict(Exception):
    """Two branches do not merge."""


@dataclass(frozen=True, slots=True)
class Bare:
    """A bare repository. ``branch`` is the default one."""

    path: Path
    branch: str = "main"

    def git(self, *arguments: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> str:
        """Output of a git command in the repository. Raises CalledProcessError."""
        command = ["git", "-C", str(self.path), *arguments]
        environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **_SETTINGS, **(env or {})}
        return subprocess.run(command, input=stdin, env=environment, capture_output=True, check=True).stdout.decode().strip()

    def heads(self) -> dict[str, str]:
        """The commit of every branch."""
        lines = self.git("for-each-ref", "--format=%(refname:lstrip=2) %(objectname)", "refs/heads").splitlines()
        return {name: commit for name, _, commit in (line.rpartition(" ") for line in lines)}

    def contains(self, base: str, commit: str) -> bool:
        """Whether a commit is in the history of another."""
        return self.git("rev-list", "--max-count=1", commit, f"^{base}") == ""

    def commit(
        self,
        branch: str,
        files: Mapping[str, str | None],
        message: str = "work",
        *,
        parents: tuple[str, ...] | None = None,
        author: tuple[str, str] = ANN,
        committer: tuple[str, str] | None = None,
    ) -> str:
        """Put a commit with changed files (None: deleted) on a branch, made from the default one where it is new."""
        heads = self.heads()
        base = heads.get(branch) or heads.get(self.branch)
        before = parents if parents is not None else ((base,) if base else ())
        with tempfile.TemporaryDirectory() as folder:
            index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
            if before:
                self.git("read-tree", before[0], env=index)
            for path, text in files.items():
                if text is None:
                    self.git("update-index", "--force-remove", path, env=index)
                    continue
                blob = self.git("hash-object", "-w", "--stdin", stdin=text.encode())
                self.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", env=index)
            tree = self.git("write-tree", env=index)
        made = self._commit(tree, before, message, author, committer or author)
        self.git("update-ref", f"refs/heads/{branch}", made)
        return made

    def merge(self, base: str, head: str, method: str, message: str) -> str:
        """Merge one branch into another by ``merge``, ``squash`` or ``rebase``; the base's new commit. Raises Conflict."""
        heads = self.heads()
        if method == "rebase":
            return self._rebase(base, head)
        try:
            tree = self.git("merge-tree", "--write-tree", heads[base], heads[head])
        except subprocess.CalledProcessError as error:
            raise Conflict(error.stdout.decode()) from None
        parents = (heads[base], heads[head]) if method == "merge" else (heads[base],)
        made = self._commit(tree, parents, message, ANN, ANN)
        self.git("update-ref", f"refs/heads/{base}", made, heads[base])
        return made

    def _commit(self, tree: str, parents: tuple[str, ...], message: str, author: tuple[str, str], committer: tuple[str, str]) -> str:
        who = {f"GIT_{role}_{part}": text for role, one in (("AUTHOR", author), ("COMMITTER", committer)) for part, text in _named(one)}
        flags = (flag for parent in parents for flag in ("-p", parent))
        return self.git("commit-tree", tree, *flags, stdin=message.encode(), env=who)

    def _rebase(self, base: str, head: str) -> str:
        who = {f"GIT_COMMITTER_{part}": text for part, text in _named(ANN)}
        with tempfile.TemporaryDirectory() as folder:
            self.git("clone", "--quiet", "--shared", "--branch", base, str(self.path), folder)
            copy = Bare(Path(folder))
            try:
                copy.git("cherry-pick", f"origin/{base}..origin/{head}", env=who)
            except subprocess.CalledProcessError as error:
                raise Conflict(error.stderr.decode()) from None
            copy.git("push", "--quiet", "origin", f"HEAD:{base}")
        return self.heads()[base]


def _named(person: tuple[str, str]) -> tuple[tuple[str, str], tuple[str, str]]:
    return ("NAME", person[0]), ("EMAIL", person[1])


def make_bare(path: Path, files: Mapping[str, str], branch: str = "main") -> Bare:
    """A bare repository with one commit."""
    path.mkdir(parents=True)
    bare = Bare(path, branch)
    bare.git("init", "--quiet", "--bare", "--template=", f"--initial-branch={branch}")
    for key, value in (("http.receivepack", "true"), ("gc.auto", "0"), ("maintenance.auto", "false")):
        bare.git("config", key, value)
    bare.commit(branch, files, "first", parents=())
    return bare
