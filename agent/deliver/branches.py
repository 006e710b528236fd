"""The commits of a pull request: the fixes of a group on the run's base, one commit each, checked anew by the gate before they are made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fixbot.agent import git
from fixbot.agent import workspace as ws
from fixbot.agent.apply import patch_of
from fixbot.agent.commits import fix_message, imports_message
from fixbot.agent.errors import FixbotError, RepositoryError
from fixbot.agent.result import Outcome
from fixbot.agent.workspace import Workspace
from fixbot.detectors.project import is_test
from fixbot.detectors.registry import all_rules
from fixbot.patchers.difference import edits_between
from fixbot.patchers.edits import GateError, check_path, edits_dependencies
from fixbot.patchers.layers import Layers, layers
from fixbot.patchers.model.gate import check_reply_patch
from fixbot.patchers.patch import ConflictError, Origin, Patch, blob_id

MAX_LINES = 200  # that the gate lets one fix change
MAX_PROOF = 1 << 16  # bytes of a proof test


@dataclass(frozen=True, slots=True)
class Stack:
    """A run's proven fixes as layers over its base, which is that of the workspace."""

    workspace: Workspace
    tracked: frozenset[str]
    outcomes: tuple[Outcome, ...]
    layers: Layers

    def numbers(self, fixes: Iterable[Outcome]) -> list[int]:
        """The layers' numbers of fixes."""
        wanted = {one.finding.fingerprint for one in fixes}
        return [number for number, patch in enumerate(self.layers.patches) if patch.finding in wanted]

    def split(self, fixes: Sequence[Outcome]) -> tuple[list[Outcome], list[Outcome]]:
        """Fixes that need none but each other, and those that stand on others."""
        chosen = set(self.numbers(fixes))
        while lacking := {number for number in chosen if not self.layers.needs[number] <= chosen}:
            chosen -= lacking
        alone = {self.layers.patches[number].finding for number in chosen}
        return [one for one in fixes if one.finding.fingerprint in alone], [one for one in fixes if one.finding.fingerprint not in alone]


def make_stack(workspace: Workspace, fixes: Sequence[Outcome]) -> Stack:
    """Lay the fixes of a run over its base, which is the workspace's. Raises RepositoryError when a patch was not made for it."""
    root, tracked = workspace.root, frozenset(ws.files(workspace))
    patches = [patch_of(one) for one in fixes]
    wanted = {path for patch in patches for path in (*patch.bases, *patch.paths)}
    try:
        for patch in patches:
            for path in {*patch.bases, *patch.paths}:
                check_path(path, root, tracked, dependencies=_dependencies(patch, path))
        stack = layers(patches, {path: (root / path).read_bytes() for path in sorted(wanted)})
    except (GateError, ConflictError, KeyError) as error:
        raise RepositoryError(
            f"the fixes of the run cannot be laid over commit {workspace.base[:12]}: {error}", "run fixbot again"
        ) from None
    return Stack(workspace, tracked, tuple(fixes), stack)


def _dependencies(patch: Patch, path: str) -> bool:
    return patch.rule in all_rules() and edits_dependencies(patch.rule, path)


def check_group(stack: Stack, fixes: Sequence[Outcome]) -> None:
    """The gate once more, over all that a group changes: whoever made the bundle may have been deceived. Raises GateError."""
    chosen = stack.numbers(fixes)
    patches = [stack.layers.patches[number] for number in chosen]
    changed = stack.layers.content(chosen)
    base = {path: stack.layers.base[path] for path in changed}
    edits = tuple(edit for path, data in changed.items() for edit in edits_between(path, base[path], data))
    whole = Patch("", "", Origin.MODEL, patches[0].safety, {path: blob_id(data) for path, data in base.items()}, edits)
    allows = {entry for patch in patches if patch.rule in all_rules() for entry in all_rules()[patch.rule].allows}
    dependencies = any(_dependencies(patch, path) for patch in patches for path in patch.paths)
    check_reply_patch(
        whole, stack.workspace.root, stack.tracked, changed, allows=allows, dependencies=dependencies, max_lines=MAX_LINES * len(patches)
    )
    for one in fixes:
        _check_proof(one, stack)


def _check_proof(one: Outcome, stack: Stack) -> None:
    """A proof test is a new file among the tests."""
    proof = (one.verdict or {}).get("proof_test")
    if not proof or not proof["kept"]:
        return
    path, source = proof["path"], proof["source"]
    folder, _, name = path.rpartition("/")
    if not is_test(path) or not name.startswith("test_") or not name.endswith(".py") or len(source) > MAX_PROOF:
        raise GateError(f"refused proof test {path[:200]!a}: not a test file")
    if any(known.casefold() == path.casefold() for known in stack.tracked):
        raise GateError(f"refused proof test {path[:200]!a}: the file exists")
    if folder and not any(known.startswith(f"{folder}/") for known in stack.tracked):
        raise GateError(f"refused proof test {path[:200]!a}: there is no such folder")
    if any(part in ("", ".", "..") or part.casefold().startswith(".git") for part in path.split("/")) or "\\" in path:
        raise GateError(f"refused proof test {path[:200]!a}: not a plain relative path")


def build(stack: Stack, fixes: Sequence[Outcome], branch: str, run: str) -> str:
    """Make a group's commits on a branch of the clone and return the last one. The same call makes the same commits.

    Raises RepositoryError, UsageError for a branch that cannot be.
    """
    by_finding = {one.finding.fingerprint: one for one in fixes}
    trailers = {"Fixbot-Base": stack.workspace.base, "Fixbot-Run": run}
    when, tip = _date(stack), stack.workspace.base
    for number, files in stack.layers.steps(stack.numbers(fixes)):
        if number is None:
            tip = ws.commit(stack.workspace, branch, files, imports_message(trailers), tip, when)
            continue
        one = by_finding[stack.layers.patches[number].finding]
        proof = (one.verdict or {}).get("proof_test")
        news = dict(files)
        if proof and proof["kept"]:
            news[proof["path"]] = proof["source"].encode("utf-8", "replace")
        if news:
            tip = ws.commit(stack.workspace, branch, news, fix_message(one.finding, one.verdict or {}, trailers), tip, when)
    return tip


def same_tree(workspace: Workspace, one: str, other: str) -> bool:
    """Whether two commits of the clone hold the same files."""
    found = [
        git.run(workspace.root / ".git", "rev-parse", "--verify", f"{commit}^{{tree}}", outside=workspace.repository)
        for commit in (one, other)
    ]
    return found[0] == found[1]


def contains(workspace: Workspace, branch: str, commit: str) -> bool:
    """Whether ``commit`` is in the history of another commit of the clone."""
    asked = ("merge-base", "--is-ancestor", commit, branch)
    return git.attempt(workspace.root / ".git", *asked, outside=workspace.repository) is not None


def _date(stack: Stack) -> int:
    """The base's date: with it the same fixes of the same base are the same commits, whenever they are made."""
    asked = ("show", "--no-patch", "--format=%ct", stack.workspace.base)
    found = git.run(stack.workspace.root / ".git", *asked, outside=stack.workspace.repository).decode().strip()
    return int(found)


def file_at(workspace: Workspace, commit: str, paths: Sequence[str]) -> bytes:
    """The first of some files that a commit has, empty when it has none."""
    for path in paths:
        try:
            return ws.read(workspace, commit, path)
        except FixbotError:
            continue
    return b""
