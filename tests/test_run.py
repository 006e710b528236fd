"""``fixbot run`` from the command line to the branch, on real repositories with real suites in the real sandbox."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import FIXBOT, MakeRepository, RunFixbot, git, write_tree

PYTHON = ("--python", sys.executable)
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


def test_fixes_are_proven_and_land_as_commits(make_repository: MakeRepository, fixbot: RunFixbot) -> None:
    folder = make_repository(FILES)
    before = snapshot(folder)
    report = run_json(fixbot, folder, code=0)
    by_key = {entry["key"]: entry for entry in report["findings"]}
    assert {key: entry["status"] for key, entry in by_key.items()} == {"wave": "fixed", "shutil": "fixed"}
    assert by_key["wave"]["verdict"]["grade"] == "verified"
    assert by_key["wave"]["verdict"]["executed_by"] == ["tests/test_sound.py::test_duration"]
    assert by_key["shutil"]["verdict"]["grade"] == "checked"
    assert report["tests"]["passed"] == 2
    assert report["base"] == git(folder, "rev-parse", "HEAD")
    assert git(folder, "rev-parse", report["branch"]) == report["tip"]
    log = git(folder, "log", "--format=%s", f"main..{report['branch']}").splitlines()
    assert log == ["fix: undefined-name in sound.py"] * 2
    assert git(folder, "diff", "--numstat", "main", report["branch"]) == "2\t0\tsound.py"
    after = snapshot(folder)
    changed = {path for path in after if before.get(path) != after[path]}
    assert all(path.startswith((".git/objects/", ".git/refs/heads/fixbot", ".git/logs/refs/heads/fixbot")) for path in changed)
    assert not before.keys() - after.keys()


def test_second_run_on_the_branch_finds_nothing(make_repository: MakeRepository, fixbot: RunFixbot) -> None:
    folder = make_repository(FILES)
    branch = run_json(fixbot, folder)["branch"]
    git(folder, "checkout", "--quiet", branch)
    again = run_json(fixbot, folder, code=0)
    assert (again["findings"], again["branch"], again["suite_runs"]) == ([], None, 0)


def test_fixes_can_be_applied_one_by_one(make_repository: MakeRepository, fixbot: RunFixbot) -> None:
    folder = make_repository(FILES)
    report = run_json(fixbot, folder)
    wave, shutil = (next(entry["fingerprint"] for entry in report["findings"] if entry["key"] == key) for key in ("wave", "shutil"))
    shown = fixbot("apply", report["run"], shutil, "--diff")
    assert "+import shutil\n" in shown.stdout
    assert git(folder, "status", "--porcelain") == ""
    assert fixbot("apply", report["run"], shutil).returncode == 0
    assert git(folder, "diff", "--numstat") == "1\t0\tsound.py"
    refused = fixbot("apply", report["run"], wave)
    assert (refused.returncode, "--allow-dirty" in refused.stderr) == (2, True)
    moved = fixbot("apply", report["run"], wave, "--allow-dirty")
    assert (moved.returncode, "not as it was" in moved.stderr) == (2, True)
    git(folder, "checkout", "--quiet", ".")
    assert fixbot("apply", report["run"]).returncode == 0
    assert git(folder, "diff", report["branch"]) == ""


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
    flaky = "import os\n\n\ndef test_flaky():\n    assert os.urandom(1)[0] % 2\n"
    tests = {f"tests/test_flaky_{number}.py": flaky.replace("test_flaky", f"test_flaky_{number}") for number in range(6)}
    folder = make_repository({**FILES, **tests})
    done = fixbot("run", folder, *PYTHON, "--output-format", "json", "--quiet", env={"FIXBOT_BASELINE_RUNS": "6"})
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
    report = run_json(fixbot, folder, "--timeout", "10", "--test-timeout", "2", code=1)
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


@pytest.mark.parametrize("moment", [0.9, 1.6, 2.3, 3.0])
def test_kill_and_resume(make_repository: MakeRepository, fixbot: RunFixbot, tmp_path: Path, moment: float) -> None:
    slow = "import time\n\n\ndef test_slow():\n    time.sleep(0.4)\n"
    folder = make_repository({**FILES, "tests/test_slow.py": slow})
    environment = os.environ | {"FIXBOT_STATE_DIR": str(tmp_path / "state")}
    command = [FIXBOT, "run", folder, *PYTHON, "--quiet"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    time.sleep(moment)
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


def test_interrupt_leaves_nothing_behind(make_repository: MakeRepository, fixbot: RunFixbot, tmp_path: Path) -> None:
    folder = make_repository({**FILES, "tests/test_slow.py": "import time\n\n\ndef test_slow():\n    time.sleep(30)\n"})
    before = snapshot(folder)
    environment = os.environ | {"FIXBOT_STATE_DIR": str(tmp_path / "state")}
    process = subprocess.Popen([FIXBOT, "run", folder, *PYTHON], env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True)
    time.sleep(4)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert "--resume" in errors
    assert snapshot(folder) == before
    assert not list((tmp_path / "state" / "runs").glob("*"))
    commands = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not [command for command in commands if str(folder).encode() in command and str(process.pid).encode() not in command]


def test_two_runs_at_once(make_repository: MakeRepository, fixbot: RunFixbot, tmp_path: Path) -> None:
    folder = make_repository({**FILES, "tests/test_slow.py": "import time\n\n\ndef test_slow():\n    time.sleep(2)\n"})
    environment = os.environ | {"FIXBOT_STATE_DIR": str(tmp_path / "state")}
    process = subprocess.Popen([FIXBOT, "run", folder, *PYTHON, "--quiet"], env=environment, stdout=subprocess.DEVNULL)
    time.sleep(2)
    second = fixbot("run", folder, *PYTHON)
    assert second.returncode == 2
    assert str(process.pid) in second.stderr
    assert process.wait(timeout=60) == 0
