"""``fixbot run`` from the command line to the branch, on real repositories with real suites in the real sandbox."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import FIXBOT, ONE_BASELINE, TARGET_PYTHON, MakeRepository, RunFixbot, git, new_repository, run_fixbot, write_tree

PYTHON = ("--python", str(TARGET_PYTHON))
SOUND = """\
import os


def duration(path):
    # how long it plays
    with wave.open(path, "rb") as sound:
        return sound.getnframes() / sound.getframerate()


def forgotten():
    return shutil.which("sh")
"""
TEST_SOUND = """\
import wave

from sound import duration


def test_duration(tmp_path):
    path = str(tmp_path / "a.wav")
    with wave.open(path, "wb") as sound:
        sound.setparams((1, 1, 8, 0, "NONE", ""))
        sound.writeframes(bytes(16))
    try:
        assert duration(path) == 2.0
    except NameError:
        pass


def test_other():
    assert True
"""
FILES: dict[str, str | bytes] = {"sound.py": SOUND, "tests/test_sound.py": TEST_SOUND, "README.md": "sound\n"}


def snapshot(folder: Path) -> dict[str, tuple[str, int]]:
    """Content hash and mtime of every file, git's own included."""
    return {
        str(path.relative_to(folder)): (hashlib.sha256(path.read_bytes()).hexdigest(), path.lstat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


def run_json(fixbot: RunFixbot, folder: Path, *more: str, code: int | None = None) -> dict[str, Any]:
    done = fixbot("run", folder, *PYTHON, "--output-format", "json", "--quiet", *more)
    assert done.returncode in (0, 1) if code is None else done.returncode == code, done.stderr
    return json.loads(done.stdout)


@dataclass(frozen=True)
class Finished:
    """A repository after a run with two runs of the suite without fixes, and what it looked like before."""

    folder: Path
    before: dict[str, tuple[str, int]]
    after: dict[str, tuple[str, int]]
    report: dict[str, Any]

    def fixbot(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Another command with the same state."""
        return run_fixbot(self.folder.parent / "state", *arguments, cwd=self.folder)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The only run here with this project's own environment: pytest loads the plugins that are installed in it."""
    place = tmp_path_factory.mktemp("finished")
    folder = new_repository(place / "project", FILES)
    before = snapshot(folder)
    own = {"FIXBOT_BASELINE_RUNS": "2"}
    command = ("run", folder, "--python", sys.executable, "--output-format", "json", "--quiet")
    done = run_fixbot(place / "state", *command, cwd=place, env=own)
    assert done.returncode == 0, done.stderr
    return Finished(folder, before, snapshot(folder), json.loads(done.stdout))


def test_fixes_are_proven_and_land_as_commits(finished: Finished) -> None:
    folder, report, before, after = finished.folder, finished.report, finished.before, finished.after
    by_key = {entry["key"]: entry for entry in report["findings"]}
    assert {key: entry["status"] for key, entry in by_key.items()} == {"wave": "fixed", "shutil": "fixed"}
    assert by_key["wave"]["verdict"]["grade"] == "verified"
    assert by_key["wave"]["verdict"]["executed_by"] == ["tests/test_sound.py::test_duration"]
    assert by_key["shutil"]["verdict"]["grade"] == "checked"
    assert (report["tests"]["passed"], report["suite_runs"]) == (2, 3)
    assert report["base"] == git(folder, "rev-parse", "HEAD")
    assert git(folder, "rev-parse", report["branch"]) == report["tip"]
    log = git(folder, "log", "--format=%s", f"main..{report['branch']}").splitlines()
    assert log == ["fix: undefined-name in sound.py"] * 2
    assert git(folder, "diff", "--numstat", "main", report["branch"]) == "2\t0\tsound.py"
    changed = {path for path in after if before.get(path) != after[path]}
    assert all(path.startswith((".git/objects/", ".git/refs/heads/fixbot", ".git/logs/refs/heads/fixbot")) for path in changed)
    assert not before.keys() - after.keys()


def test_second_run_on_the_branch_finds_nothing(finished: Finished, fixbot: RunFixbot, tmp_path: Path) -> None:
    git(tmp_path, "clone", "--quiet", "--branch", finished.report["branch"], str(finished.folder), "clone")
    again = run_json(fixbot, tmp_path / "clone", code=0)
    assert (again["findings"], again["branch"], again["suite_runs"]) == ([], None, 0)


def test_fixes_can_be_applied_one_by_one(finished: Finished) -> None:
    folder, report = finished.folder, finished.report
    wave, shutil = (next(entry["fingerprint"] for entry in report["findings"] if entry["key"] == key) for key in ("wave", "shutil"))
    shown = finished.fixbot("apply", report["run"], shutil, "--diff")
    assert "+import shutil\n" in shown.stdout
    assert git(folder, "status", "--porcelain") == ""
    assert finished.fixbot("apply", report["run"], shutil).returncode == 0
    assert git(folder, "diff", "--numstat") == "1\t0\tsound.py"
    refused = finished.fixbot("apply", report["run"], wave)
    assert (refused.returncode, "--allow-dirty" in refused.stderr) == (2, True)
    moved = finished.fixbot("apply", report["run"], wave, "--allow-dirty")
    assert (moved.returncode, "not as it was" in moved.stderr) == (2, True)
    git(folder, "checkout", "--quiet", ".")
    assert finished.fixbot("apply", report["run"]).returncode == 0
    assert git(folder, "diff", report["branch"]) == ""
    git(folder, "checkout", "--quiet", ".")


def test_a_fix_that_breaks_a_test_costs_only_itself(make_repository: MakeRepository, fixbot: RunFixbot) -> None:
    lock = """\
import sound


def test_it_still_raises():
    try:
        sound.forgotten()
    except NameError:
        return
    raise AssertionError("no NameError")
"""
    folder = make_repository({**FILES, "tests/test_lock.py": lock})
    report = run_json(fixbot, folder, code=1)
    by_key = {entry["key"]: entry for entry in report["findings"]}
    assert by_key["wave"]["status"] == "fixed"
    assert by_key["shutil"]["status"] == "regressed"
    assert by_key["shutil"]["verdict"]["newly_failing"] == ["tests/test_lock.py::test_it_still_raises"]
    assert "import shutil" not in git(folder, "show", f"{report['branch']}:sound.py")


def test_works_on_head_whatever_the_work_tree_is_like(make_repository: MakeRepository, fixbot: RunFixbot) -> None:
    folder = make_repository(FILES)
    write_tree(folder, {"sound.py": "broken(", "untracked.py": "x = nowhere.y\n"})
    git(folder, "checkout", "--quiet", "--detach")
    write_tree(folder, {"sound.py": "broken("})
    report = run_json(fixbot, folder)
    assert {entry["status"] for entry in report["findings"]} == {"fixed"}
    assert any("uncommitted changes" in note for note in report["notes"])
    assert any("detached HEAD" in note for note in report["notes"])
    assert (folder / "sound.py").read_text() == "broken("


def test_red_suite_is_compared_not_demanded(make_repository: MakeRepository, fixbot: RunFixbot) -> None:
    red = "def test_red():\n    assert 1 == 2\n"
    report = run_json(fixbot, make_repository({**FILES, "tests/test_red.py": red}), code=0)
    assert report["tests"]["failed"] == 1
    assert {entry["status"] for entry in report["findings"]} == {"fixed"}


def test_flaky_tests_decide_nothing(make_repository: MakeRepository, fixbot: RunFixbot) -> None:
    flaky = "".join(f"def test_flaky_{number}():\n    assert os.urandom(1)[0] % 2\n\n\n" for number in range(8))
    folder = make_repository({**FILES, "tests/test_flaky.py": f"import os\n\n\n{flaky}"})
    done = fixbot("run", folder, *PYTHON, "--output-format", "json", "--quiet", env={"FIXBOT_BASELINE_RUNS": "3"})
    report = json.loads(done.stdout)
    assert {entry["status"] for entry in report["findings"]} == {"fixed"}
    assert report["tests"]["flaky"] or report["findings"][0]["verdict"]["flaky"]


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"sound.py": SOUND}, "no tests collected"),
        ({"sound.py": SOUND, "test_a.py": "def test_a():\n    assert False\n"}, "no test passes without the fixes"),
        ({"sound.py": SOUND, "test_a.py": "import os\n\n\ndef test_a():\n    os._exit(0)\n"}, "ended at test_a.py::test_a"),
        ({"sound.py": SOUND, "test_a.py": "def test_a():\n    while True:\n        pass\n"}, "no test passes without the fixes"),
        ({"sound.py": SOUND, "test_a.py": "while True:\n    pass\n"}, "limit: time"),
    ],
    ids=["no tests", "all red", "exits", "test hangs", "collection hangs"],
)
def test_what_cannot_be_checked_is_not_committed(
    make_repository: MakeRepository, fixbot: RunFixbot, files: dict[str, str | bytes], problem: str
) -> None:
    folder = make_repository(files)
    report = run_json(fixbot, folder, "--timeout", "5", "--test-timeout", "1", code=1)
    assert {entry["status"] for entry in report["findings"]} == {"unverifiable"}
    assert problem in report["findings"][0]["reason"]
    assert report["branch"] is None
    assert git(folder, "branch", "--list", "fixbot/*") == ""


def test_hostile_tests_reach_nothing(make_repository: MakeRepository, fixbot: RunFixbot, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("whole")
    hostile = f"""\
import os, pathlib, shutil, socket, subprocess, pytest

HERE = pathlib.Path(__file__).parents[1]

def test_writes_outside():
    try:
        pathlib.Path({str(victim)!r}).write_text("broken")
    except OSError:
        pass

def test_leaves_a_daemon():
    subprocess.Popen(["setsid", "sleep", "77137"])

def test_reads_secrets():
    seen = str(dict(os.environ))
    for path in pathlib.Path("/proc").glob("[0-9]*/environ"):
        try:
            seen += path.read_bytes().decode("utf-8", "replace")
        except OSError:
            pass
    assert "canary-6d1f" not in seen

def test_network():
    with pytest.raises(OSError):
        socket.create_connection(("192.0.2.1", 80), 1)

def test_zz_deletes_the_repository():
    shutil.rmtree(HERE, ignore_errors=True)
"""
    folder = make_repository({**FILES, "tests/test_hostile.py": hostile})
    before = snapshot(folder)
    done = fixbot("run", folder, *PYTHON, "--output-format", "json", "--quiet", env={"SECRET_TOKEN": "canary-6d1f"})
    report = json.loads(done.stdout)
    assert {entry["status"] for entry in report["findings"]} == {"fixed"}
    assert report["tests"]["failed"] == 0
    assert victim.read_text() == "whole"
    assert "canary-6d1f" not in done.stdout + done.stderr
    assert {path: value for path, value in snapshot(folder).items() if path in before} == before
    commands = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not [command for command in commands if b"77137" in command and b"sleep" in command]


def test_conflicting_fixes_are_made_one_on_top_of_the_other(make_repository: MakeRepository, fixbot: RunFixbot) -> None:
    tasks = """\
import asyncio


async def ping():
    await asyncio.sleep(0)


async def start():
    asyncio.create_task(wait_for(ping(), math.floor(1.5)))


async def wait_for(work, seconds):
    return await asyncio.wait_for(work, seconds)
"""
    test = """\
import asyncio
import tasks


def test_start():
    try:
        asyncio.run(tasks.start())
    except NameError:
        pass
"""
    folder = make_repository({"tasks.py": tasks, "test_tasks.py": test})
    report = run_json(fixbot, folder, code=0)
    assert {entry["rule"]: entry["status"] for entry in report["findings"]} == {"lost-task-reference": "fixed", "undefined-name": "fixed"}
    text = git(folder, "show", f"{report['branch']}:tasks.py")
    assert "import math" in text
    assert "task.add_done_callback(_background_tasks.discard)" in text


def test_kill_and_resume(make_repository: MakeRepository, fixbot: RunFixbot, tmp_path: Path) -> None:
    """At some moment, in whatever it is about; test_killed.py has one after each kind of event."""
    slow = "import time\n\n\ndef test_slow():\n    time.sleep(0.4)\n"
    folder = make_repository({**FILES, "tests/test_slow.py": slow})
    environment = os.environ | {"FIXBOT_STATE_DIR": str(tmp_path / "state")} | ONE_BASELINE
    command = [FIXBOT, "run", folder, *PYTHON, "--quiet"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    time.sleep(1.2)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    done = fixbot("run", folder, *PYTHON, "--output-format", "json", "--quiet", "--resume")
    if done.returncode == 2:
        assert "no unfinished run" in done.stderr
        done = fixbot("run", folder, *PYTHON, "--output-format", "json", "--quiet")
    report = json.loads(done.stdout)
    assert {entry["status"] for entry in report["findings"]} == {"fixed"}
    assert git(folder, "branch", "--list", "fixbot/*").split() == [report["branch"]]
    assert not list((tmp_path / "state" / "runs").glob("*"))


def test_two_runs_at_once(make_repository: MakeRepository, fixbot: RunFixbot, tmp_path: Path) -> None:
    folder = make_repository({**FILES, "tests/test_slow.py": "import time\n\n\ndef test_slow():\n    time.sleep(2)\n"})
    environment = os.environ | {"FIXBOT_STATE_DIR": str(tmp_path / "state")} | ONE_BASELINE
    command = [FIXBOT, "run", folder, *PYTHON, "--quiet", "--output-format", "json-lines"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["event"] == "started"
        second = fixbot("run", folder, *PYTHON)
        assert process.poll() is None
        assert second.returncode == 2
        assert str(process.pid) in second.stderr
        process.communicate(timeout=60)
    assert process.returncode == 0
