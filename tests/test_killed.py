"""Runs that are killed or interrupted: nothing of the user's changes, nothing stays behind, and the work goes on where it was."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import FIXBOT, TARGET_PYTHON, git, write_tree

SOUND = "def duration(path):\n    return wave.open(path)\n\n\ndef found():\n    return shutil.which('sh')\n"
TEST_SOUND = "import sound\n\n\ndef test_found():\n    try:\n        assert sound.found()\n    except NameError:\n        pass\n"
FILES: dict[str, str | bytes] = {"sound.py": SOUND, "test_sound.py": TEST_SOUND, "README.md": "sound\n"}
SLOW = "import time\n\n\ndef test_slow():\n    print('begun')\n    time.sleep(30)\n"


@dataclass(frozen=True)
class Place:
    """A repository in a state of work, with the folders that fixbot may use for it."""

    folder: Path
    state: Path
    temporary: Path

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        own = {"FIXBOT_STATE_DIR": str(self.state), "TMPDIR": str(self.temporary), "FIXBOT_BASELINE_RUNS": "1", "FIXBOT_CACHE": "0"}
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("FIXBOT_", "GIT_"))}
        command = [FIXBOT, "run", self.folder, "--python", TARGET_PYTHON, *arguments]
        return subprocess.Popen(command, env=inherited | own, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)

    def left(self) -> list[Path]:
        """What is left of runs: their folders, the records of their locks, temporary files."""
        return [*self.state.glob("runs/*"), *self.state.glob("locks/*.json"), *self.temporary.iterdir()]

    def user_side(self) -> dict[str, tuple[bytes, int]]:
        """Bytes and mtime of every file of the user's; what a delivered branch adds is left out."""
        added = re.compile(r"\.git/(objects/|(logs/)?refs/heads/fixbot(/|$))")
        before = {path: path.lstat() for path in sorted(self.folder.rglob("*"))}
        kept = {str(path.relative_to(self.folder)): path for path, status in before.items() if path.is_file() and status.st_size >= 0}
        return {name: (path.read_bytes(), before[path].st_mtime_ns) for name, path in kept.items() if not added.match(name)}


@pytest.fixture
def place(tmp_path: Path, target_environment: None) -> Place:
    """Staged, unstaged, untracked and stashed work lies in the repository."""
    found = Place(tmp_path / "project", tmp_path / "state", tmp_path / "tmp")
    for folder in (found.folder, found.temporary):
        folder.mkdir()
    write_tree(found.folder, FILES)
    git(found.folder, "init", "--quiet", "--initial-branch=main")
    git(found.folder, "add", "--all")
    git(found.folder, "commit", "--quiet", "-m", "first")
    write_tree(found.folder, {"README.md": "stashed\n"})
    git(found.folder, "stash", "--quiet")
    git(found.folder, "checkout", "--quiet", "-b", "work")
    write_tree(found.folder, {"README.md": "staged\n"})
    git(found.folder, "add", "README.md")
    write_tree(found.folder, {"README.md": "unstaged\n", "untracked.py": "x = 1\n"})
    return found


def family(top: int) -> dict[int, str]:
    """The process and all that descend from it: pid -> start time, which tells it from a later process of the same number."""
    table: dict[int, tuple[int, str]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = entry.read_text(errors="replace").rpartition(")")[2].split()
            table[int(entry.parent.name)] = (int(fields[1]), fields[19])
    found = [top]
    for pid in found:
        found += [child for child, (parent, _) in table.items() if parent == pid and child not in found]
    return {pid: table[pid][1] for pid in found if pid in table}


def alive(processes: Mapping[int, str]) -> list[int]:
    found: list[int] = []
    for pid, started in processes.items():
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
            if fields[19] == started and fields[0] != "Z":
                found.append(pid)
    return found


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


def all_gone(processes: Mapping[int, str]) -> bool:
    return wait_for(lambda: not alive(processes), 10)


def suite_runs(top: int) -> bool:
    """Whether a descendant runs the tests."""
    for pid in family(top):
        with suppress(OSError):
            if b"fixbot_pytest_plugin" in Path(f"/proc/{pid}/cmdline").read_bytes():
                return True
    return False


def events(process: subprocess.Popen[bytes]) -> Iterator[dict[str, Any]]:
    assert process.stdout is not None
    return map(json.loads, process.stdout)


def kind(event: Mapping[str, Any], seen: list[str]) -> str:
    """What an event is about: its name, with the stage or the number where there are several."""
    name = str(event["event"])
    if name == "progress":
        name += f" {event['stage']} {'begins' if event['done'] == 0 else 'goes on'}"
    return f"{name} {seen.count(name) + 1}" if name in ("suite-ran", "committed") else name


def whole_run(place: Place) -> tuple[list[str], str]:
    """The kinds of events of a run that nobody kills, each once and in order, and the diff that it makes."""
    process = place.start("--output-format", "json-lines")
    names: list[str] = []
    kinds: dict[str, None] = {}
    for event in events(process):
        kinds[kind(event, names)] = None
        names.append(event["event"])
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    branch = git(place.folder, "branch", "--list", "fixbot/*")
    diff = git(place.folder, "diff", "main", branch)
    git(place.folder, "update-ref", "-d", f"refs/heads/{branch}")
    assert place.left() == []
    return [name for name in kinds if name != "finished"], diff


def kill_after(place: Place, wanted: str, *more: str) -> bool:
    """Start a run and kill -9 its process group right after the first event of a kind; nothing that it started may outlive it.

    False when the run came to its end instead, because an earlier kill was late and what it waits for is in the ledger.
    """
    process = place.start("--output-format", "json-lines", *more)
    names: list[str] = []
    started: dict[int, str] = {}
    for event in events(process):
        if kind(event, names) == wanted:
            started = family(process.pid)
            os.killpg(process.pid, signal.SIGKILL)
            break
        names.append(event["event"])
    _, errors = process.communicate(timeout=60)
    assert process.returncode == (-signal.SIGKILL if started else 0), (wanted, names, errors)
    assert all_gone(started), wanted
    return bool(started)


def last_report(place: Place) -> dict[str, Any]:
    """The report of a run that is resumed; or of the last one, if it was over when it was killed."""
    process = place.start("--output-format", "json", "--quiet", "--resume")
    output, errors = process.communicate(timeout=60)
    if process.returncode == 2 and b"no unfinished run" in errors:
        environment = os.environ | {"FIXBOT_STATE_DIR": str(place.state)}
        return json.loads(subprocess.check_output([FIXBOT, "report", "last", "--output-format", "json"], env=environment))
    assert process.returncode == 0, errors
    return json.loads(output)


def test_kill_after_every_kind_of_event(place: Place) -> None:
    """One run, killed again and again, each time a step further on; its end is that of a run that nobody killed."""
    before, stash = place.user_side(), git(place.folder, "stash", "list")
    kinds, diff = whole_run(place)
    assert place.user_side() == before
    assert {name.split()[0] for name in kinds} >= {"started", "note", "found", "progress", "suite-ran", "committed", "decided", "delivered"}
    assert [name for name in kinds if name.startswith("suite-ran")] == ["suite-ran 1", "suite-ran 2"]
    kills = 0
    for wanted in kinds:
        if not kill_after(place, wanted, *(["--resume"] if kills else [])):
            break
        kills += 1
        assert place.user_side() == before, wanted
        if kinds.index(wanted) < kinds.index("committed 1"):
            assert git(place.folder, "branch", "--list", "fixbot/*") == "", wanted
    assert kills >= len(kinds) - 3
    report = last_report(place)
    assert {entry["status"] for entry in report["findings"]} == {"fixed"}
    assert git(place.folder, "branch", "--list", "fixbot/*").split() == [report["branch"]]
    assert git(place.folder, "diff", "main", report["branch"]) == diff
    assert git(place.folder, "rev-list", "--count", f"main..{report['branch']}") == "2"
    assert place.user_side() == before
    if place.left():  # killed at its very end; the next run clears up
        git(place.folder, "update-ref", "-d", f"refs/heads/{report['branch']}")
        whole_run(place)
    assert place.left() == []
    assert git(place.folder, "stash", "list") == stash
    assert git(place.folder, "fsck", "--connectivity-only", "--no-dangling") == ""


def test_a_new_run_clears_up_after_a_killed_one(place: Place) -> None:
    assert kill_after(place, "suite-ran 1")
    assert list(place.state.glob("runs/*"))
    _, diff = whole_run(place)
    assert "import wave" in diff


def test_suite_runs_are_not_repeated(place: Place) -> None:
    assert kill_after(place, "suite-ran 2")
    process = place.start("--output-format", "json-lines", "--resume")
    seen = list(events(process))
    process.communicate(timeout=60)
    assert [event["passed"] for event in seen if event["event"] == "suite-ran"] == [1, 1]  # from the ledger
    assert not [event for event in seen if event["event"] == "progress" and event["stage"].startswith("tests")]


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)], ids=["SIGTERM", "SIGHUP", "SIGINT"]
)
def test_signals_in_the_middle_of_the_suite(place: Place, number: signal.Signals, code: int) -> None:
    write_tree(place.folder, {"test_slow.py": SLOW})
    git(place.folder, "add", "test_slow.py")
    git(place.folder, "commit", "--quiet", "-m", "slow")
    before = place.user_side()
    process = place.start("--output-format", "json-lines")
    assert wait_for(lambda: suite_runs(process.pid))
    started = family(process.pid)
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == code, errors
    assert b"Traceback" not in errors
    assert (b"--resume" in errors) == (number is signal.SIGINT)
    assert all_gone(started)
    assert place.left() == []
    assert place.user_side() == before
    assert git(place.folder, "branch", "--list", "fixbot/*") == ""
