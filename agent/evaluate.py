"""``fixbot eval``: how much of what is known to be wrong in a repository fixbot finds and fixes, and what it reports wrongly."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fixbot.agent import pipeline
from fixbot.agent import workspace as ws
from fixbot.agent.config import Settings
from fixbot.agent.environments import resolve
from fixbot.agent.events import Emit, Note
from fixbot.agent.manifest import Bug, Decoy, Manifest, finds, read_manifest, reported
from fixbot.agent.result import Outcome, RunResult, Status
from fixbot.agent.sandbox.choose import choose
from fixbot.agent.verify.suite import SuiteOptions, SuiteResult, run_suite
from fixbot.detectors.finding import Finding
from fixbot.detectors.project import discover
from fixbot.detectors.scan import Options, scan

HIDDEN = "hidden_tests"


@dataclass(frozen=True, slots=True)
class BugResult:
    """What became of a known bug. ``failed_before`` tells whether its hidden test fails on the repository as it is, as it must;
    ``reported`` whether its entry in REPORT.md is placed on it, None without such an entry.
    """

    bug: Bug
    found: bool
    status: str = ""
    fixed: bool = False
    failed_before: bool | None = None
    reported: bool | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One repository's figures. ``decoys_hit`` and ``unexpected`` are false findings as ``path:line rule``."""

    name: str
    bugs: tuple[BugResult, ...]
    decoys: int
    decoys_hit: tuple[str, ...]
    unexpected: tuple[str, ...]
    right: Counter[str] = field(default_factory=Counter[str])
    wrong: Counter[str] = field(default_factory=Counter[str])
    run: RunResult | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain data for files and other programs."""
        return {
            "name": self.name,
            "bugs": [
                one.bug.model_dump(mode="json") | {"found": one.found, "status": one.status, "fixed": one.fixed, "reported": one.reported}
                for one in self.bugs
            ],
            "decoys": self.decoys,
            "decoys_hit": list(self.decoys_hit),
            "unexpected": list(self.unexpected),
            "precision": {rule: [self.right[rule], self.right[rule] + self.wrong[rule]] for rule in sorted(self.right | self.wrong)},
        }


def evaluate(folders: Sequence[Path], *, python: Path | None, sandbox: str, detect_only: bool, emit: Emit) -> list[Evaluation]:
    """Measure fixbot on evaluation repositories, each in a copy; a folder of them stands for all in it.

    Raises UsageError, before anything runs, for a folder that is neither.
    """
    return [_evaluate(folder, manifest, python, sandbox, detect_only, emit) for folder, manifest in repositories(folders)]


def repositories(folders: Sequence[Path]) -> list[tuple[Path, Manifest]]:
    """Evaluation repositories and what is known about them; a folder of them stands for all in it. Raises UsageError."""
    found = [one for folder in folders for one in sorted(path.parent for path in folder.glob("*/manifest.toml")) or [folder]]
    return [(folder, read_manifest(folder)) for folder in found]


@contextmanager
def copied(folder: Path, manifest: Manifest) -> Generator[Path]:
    """A copy of an evaluation repository, committed, in a temporary folder that may be used for other things, too."""
    with tempfile.TemporaryDirectory(prefix="fixbot-eval-") as name:
        target = Path(name) / manifest.name
        shutil.copytree(folder / "repo", target, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        _commit(target)
        yield target


def _evaluate(folder: Path, manifest: Manifest, python: Path | None, sandbox: str, detect_only: bool, emit: Emit) -> Evaluation:
    emit(Note(f"evaluating {manifest.name}"))
    with copied(folder, manifest) as target:
        project = discover(target, ws.list_files(target))
        told = reported(folder, manifest, project)
        if detect_only:
            findings = list(scan(project, Options()).findings)
            return _score(manifest, [Outcome(one, Status.NOT_ATTEMPTED) for one in findings], None, {}, {}, told)
        settings = Settings.model_validate({"python": python, "sandbox": sandbox})
        result = pipeline.run(target, settings, emit, state=target.parent / "state")
        hidden = Hidden(folder, target, settings)
        return _score(manifest, result.outcomes, result, hidden.outcomes(result.base), hidden.outcomes(result.tip or result.base), told)


def _commit(target: Path) -> None:
    author = ("-c", "user.name=fixbot", "-c", "user.email=fixbot@users.noreply.github.com", "-c", "commit.gpgSign=false")
    for command in (("init", "--quiet"), ("add", "--all", "--force"), (*author, "commit", "--quiet", "--message=import")):
        subprocess.run(["git", *command], cwd=target, check=True, capture_output=True)


def _score(
    manifest: Manifest,
    outcomes: Sequence[Outcome],
    run: RunResult | None,
    before: dict[str, bool],
    after: dict[str, bool],
    told: dict[str, bool],
) -> Evaluation:
    bugs = [replace(_bug_result(bug, outcomes, before, after), reported=told.get(bug.id)) for bug in manifest.bug]
    right, wrong = Counter[str](), Counter[str]()
    decoys_hit: list[str] = []
    unexpected: list[str] = []
    for finding in (outcome.finding for outcome in outcomes if outcome.status is not Status.SUPPRESSED):
        place = f"{finding.path}:{finding.span.line} {finding.rule}"
        if any(finds(finding, bug) for bug in manifest.bug):
            right[finding.rule] += 1
            continue
        wrong[finding.rule] += 1
        hit = any(finding.rule in decoy.rules and _inside(finding, decoy) for decoy in manifest.decoy)
        (decoys_hit if hit else unexpected).append(place)
    return Evaluation(manifest.name, tuple(bugs), len(manifest.decoy), tuple(decoys_hit), tuple(unexpected), right, wrong, run)


def _bug_result(bug: Bug, outcomes: Sequence[Outcome], before: dict[str, bool], after: dict[str, bool]) -> BugResult:
    mine = [outcome for outcome in outcomes if finds(outcome.finding, bug)]
    test = bug.hidden_test or ""
    fixed = bool(mine) and any(one.status is Status.FIXED for one in mine) and after.get(test, False)
    status = ", ".join(sorted({one.status.value for one in mine}))
    return BugResult(bug, bool(mine), status, fixed, None if test not in before else not before[test])


def _inside(finding: Finding, decoy: Decoy) -> bool:
    return finding.path == decoy.path and decoy.lines[0] <= finding.span.line <= decoy.lines[1]


@dataclass(frozen=True, slots=True)
class Hidden:
    """Runs the hidden tests of a repository on commits of its copy (see ``copied``), in the sandbox as all target code."""

    folder: Path
    target: Path
    settings: Settings

    def outcomes(self, commit: str) -> dict[str, bool]:
        """Hidden test file -> whether it has tests and all of them pass on a commit of the target."""
        place = self.target.parent
        workspace = ws.open_workspace(self.target, place / "hidden", "eval")
        tree = place / "hidden-tree"
        try:
            subprocess.run(
                ["git", "-C", str(workspace.root), "fetch", "--quiet", str(self.target), commit], check=True, capture_output=True
            )
            ws.export(workspace, tree, commit)
            shutil.copytree(self.folder / HIDDEN, tree / HIDDEN)
            return dict(_by_file(self._run(workspace, tree)))
        finally:
            shutil.rmtree(tree, ignore_errors=True)
            ws.remove(workspace)

    def _run(self, workspace: ws.Workspace, tree: Path) -> SuiteResult:
        sandbox = choose(self.settings.sandbox, self.target)
        environment = resolve(
            workspace.root,
            repository=self.target,
            python=self.settings.python,
            cache=self.target.parent / "state" / "environments",
            sandbox=sandbox,
        )
        options = SuiteOptions(test_command=f'REPO_ROOT="$PWD" pytest {HIDDEN}')
        return run_suite(tree, environment, sandbox, options, self.target)


def _by_file(result: SuiteResult) -> Iterator[tuple[str, bool]]:
    for file in {_file(name) for name in (*result.collected, *result.collection_errors)}:
        outcomes = [test.outcome for name, test in result.tests.items() if _file(name) == file]
        broken = any(_file(name) == file for name in result.collection_errors)
        yield file, bool(outcomes) and not broken and {"passed", "xpassed"}.issuperset(outcomes)


def _file(name: str) -> str:
    """The file's name in a node id."""
    return name.partition("::")[0].rpartition("/")[2]
