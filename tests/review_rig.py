"""A finished run to review: made once for all tests of a process, copied for each. A repository with four findings, three of them fixed."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Generator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from conftest import git, write_tree

from fixbot.agent import pipeline
from fixbot.agent.config import Settings
from fixbot.agent.result import Outcome, RunResult
from fixbot.agent.review.desk import Desk, open_desk
from fixbot.agent.store import Ledger, RunRecord
from fixbot.patchers.model.keys import Key

APP = """\
import os


def duration(path):
    with wave.open(path, "rb") as sound:
        return sound.getnframes() / sound.getframerate()


def forgotten():
    return shutil.which("sh")


def read(path):
    try:
        return open(path).read()
    except:
        return ""


def area(length, width):
    return lenght * width
"""
TESTS = """\
import wave

from app import duration, read


def test_duration(tmp_path):
    path = str(tmp_path / "a.wav")
    with wave.open(path, "wb") as sound:
        sound.setparams((1, 1, 8, 0, "NONE", ""))
        sound.writeframes(bytes(16))
    try:
        assert duration(path) == 2.0
    except NameError:
        pass


def test_read():
    assert read("/nowhere") == ""
"""
FEW_PLUGINS = "[pytest]\naddopts = -p no:hypothesispytest -p no:xdist -p no:xdist.looponfail -p no:anyio\n"
FILES: dict[str, str | bytes] = {"app.py": APP, "tests/test_app.py": TESTS, "conftest.py": "", "pytest.ini": FEW_PLUGINS}
SETTINGS = Settings.model_validate({"python": sys.executable, "baseline_runs": 1, "jobs": 1})


@dataclass(frozen=True)
class Finished:
    """A repository, the state folder of its user and a finished run of it."""

    folder: Path
    state: Path
    result: RunResult

    def name(self, key: str) -> str:
        """The fingerprint of the finding with a key, or of a rule."""
        return next(one.finding.fingerprint for one in self.result.outcomes if key in (one.finding.key, one.finding.rule))

    @contextmanager
    def desk(self, settings: Settings = SETTINGS) -> Generator[Desk]:
        """Sit down to review."""
        with open_desk(self.result, settings, Key(), self.state) as desk:
            yield desk

    def decisions(self) -> dict[str, str]:
        """What the ledger remembers: kind by fingerprint."""
        with closing(Ledger(self.state / "ledger.sqlite")) as ledger:
            return {one.fingerprint: one.kind.value for one in ledger.decisions(str(self.folder))}

    def with_outcomes(self, *outcomes: Outcome) -> Finished:
        """The same with other outcomes, remembered as the run's."""
        result = replace(self.result, outcomes=outcomes)
        with closing(Ledger(self.state / "ledger.sqlite")) as ledger:
            ledger.finish(result.run, "finished", result.to_json())
        return replace(self, result=result)


def make_finished(place: Path, files: Mapping[str, str | bytes] = FILES) -> Finished:
    """A repository and a real run of it."""
    folder, state = place / "project", place / "state"
    folder.mkdir()
    write_tree(folder, files)
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all", "--force")
    git(folder, "commit", "--quiet", "--message=first")
    return Finished(folder, state, pipeline.run(folder, SETTINGS, lambda event: None, deliver=False, state=state))


def copy_finished(made: Finished, place: Path) -> Finished:
    """The same run as if it were of a copy of the repository."""
    folder, state = place / "project", place / "state"
    shutil.copytree(made.folder, folder)
    result = replace(made.result, repository=str(folder))
    with closing(Ledger(state / "ledger.sqlite")) as ledger:
        ledger.start(RunRecord(result.run, str(folder), result.base, "", 1, "running"))
        ledger.finish(result.run, "finished", result.to_json())
    return Finished(folder, state, result)


def verdict(grade: str = "verified") -> dict[str, Any]:
    """A verdict as reports hold it."""
    return {
        "grade": grade,
        "reason": "",
        "tests_before": 2,
        "tests_after": 2,
        "newly_failing": [],
        "newly_passing": [],
        "flaky": [],
        "changed_lines_covered": {"executed": 1, "changed": 1},
        "executed_by": ["tests/test_app.py::test_read"],
        "finding_gone": True,
        "proof_test": None,
    }
