"""What people decided about findings: remembered by finding and code, honoured by later checks and runs, counted for each rule."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeRepository, RunFixbot

from fixbot.agent.check import Request
from fixbot.agent.check import check as run_check
from fixbot.agent.config import Settings
from fixbot.agent.decisions import Decision, Kind, Source, code_of, figures
from fixbot.agent.report import formats
from fixbot.agent.store import Ledger
from fixbot.agent.workspace import state_dir
from fixbot.detectors.finding import Finding, Severity, Span, finding_from_json

APP = """\
import os


def one():
    # opens it
    return wave.open("x")


def two():
    return os.getcwd(), shutil.which("sh")
"""
FILES: dict[str, str | bytes] = {"app.py": APP, "test_app.py": "def test_nothing():\n    assert True\n"}


def finding(line: int, path: str = "app.py", rule: str = "undefined-name") -> Finding:
    return Finding(rule, Severity.HIGH, path, Span(line, 12, line, 16), "not defined", fingerprint="f" * 16)


def test_code_is_the_function_around_the_finding() -> None:
    code = code_of(finding(6), APP.encode())
    moved = "x = 1\n" + APP.replace("    # opens it\n", "\n    # it is opened\n")
    assert code_of(finding(8), moved.encode()) == code
    assert code_of(finding(6), APP.replace("getcwd", "getcwdb").encode()) == code
    assert code_of(finding(6), APP.replace('"x"', '"y"').encode()) != code
    assert code_of(finding(10), APP.encode()) != code


@pytest.mark.parametrize(
    ("path", "text", "line", "other", "same"),
    [
        ("a.py", "x = 1\ny = (\n    z,\n    2)\n", 3, "x = 3\ny = (\n    z,\n    2)\n", True),
        ("a.py", "x = 1\ny = (\n    z,\n    2)\n", 3, "x = 1\ny = (\n    z,\n    3)\n", False),
        ("a.py", "class A:\n    x = z\n    y = 1\n", 2, "class A:\n    x = z\n    y = 2\n", True),
        ("a.py", "@d(z)\ndef f():\n    pass\n", 1, "@d(z)\ndef f():\n    return\n", False),
        ("a.py", "def (\nz\n", 2, "def [\nz\n", True),
        ("requirements.txt", "a\nb\n", 2, "c\nb\n", True),
        ("requirements.txt", "a\nb\n", 2, "a\nc\n", False),
    ],
)
def test_code_outside_functions(path: str, text: str, line: int, other: str, same: bool) -> None:
    here = Finding("r", Severity.LOW, path, Span(line, 1, line, 2), "")
    assert (code_of(here, text.encode()) == code_of(here, other.encode())) is same


def test_a_ledger_of_the_last_version_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with closing(sqlite3.connect(path)) as old:
        old.execute("CREATE TABLE runs (id TEXT PRIMARY KEY, repository TEXT, base TEXT, settings TEXT, started, status, report)")
        old.execute("INSERT INTO runs VALUES ('r', '/x', '', '', 1, 'finished', NULL)")
        old.execute("PRAGMA user_version=2")
        old.commit()
    one = Decision("/x", "f", Kind.LATER, "undefined-name", "c", "why", 7)
    with closing(Ledger(path)) as ledger:
        assert [record.id for record in ledger.runs()] == ["r"]
        ledger.decide(one)
        ledger.decide(Decision("/y", "f", Kind.DECLINED, "undefined-name", "c", "", 8, Source.PULL_REQUEST))
        ledger.save_review("r", {"f": {"mark": "open"}})
        assert list(ledger.decisions("/x")) == [one]
        assert [found.source for found in ledger.decisions()] == [Source.REVIEW, Source.PULL_REQUEST]
        assert (ledger.review("r"), ledger.review("s")) == ({"f": {"mark": "open"}}, {})
    with closing(Ledger(path)) as ledger:
        ledger.take_back("/x", {"f": "other code"})
        assert list(ledger.decisions("/x")) == [one]
        ledger.take_back("/x", {"f": "c", "g": "c"})
        assert list(ledger.decisions("/x")) == []


def test_figures_of_rules() -> None:
    kinds = [Kind.ACCEPTED, Kind.ACCEPTED, Kind.FALSE_POSITIVE, Kind.WRONG_FIX, Kind.DECLINED, Kind.LATER]
    made = [Decision("/x", str(number), kind, "bare-except", "") for number, kind in enumerate(kinds)]
    found = figures([*made, Decision("/x", "z", Kind.LATER, "failing-test", "")])
    one = found["bare-except"]
    assert (one.accepted, one.false_positives, one.wrong_fixes, one.decided, one.precision) == (2, 1, 2, 5, 0.8)
    assert "failing-test" not in found


def check_json(folder: Path) -> dict[str, Any]:
    """What ``fixbot check`` finds."""
    settings = Settings.model_validate({"jobs": 1, "cache": False})
    return formats.check_json(run_check(Request((folder,), settings), lambda event: None)[0])


def decide(folder: Path, entry: dict[str, Any], kind: Kind, reason: str) -> None:
    one = finding_from_json(entry)
    code = code_of(one, (folder / one.path).read_bytes())
    with closing(Ledger(state_dir() / "ledger.sqlite")) as ledger:
        ledger.decide(Decision(str(folder.resolve()), one.fingerprint, kind, one.rule, code, reason, 1))


@pytest.fixture
def folder(make_repository: MakeRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with two findings, and a state folder of its own."""
    monkeypatch.setenv("FIXBOT_STATE_DIR", str(tmp_path / "state"))
    return make_repository(FILES)


def test_later_checks_and_runs_honour_decisions(folder: Path, fixbot: RunFixbot) -> None:
    wave, shutil = check_json(folder)["findings"]
    decide(folder, wave, Kind.FALSE_POSITIVE, "set by\x1b[31m the loader")
    decide(folder, shutil, Kind.WRONG_FIX, "")
    report = check_json(folder)
    assert [(one["key"], one["decision"]) for one in report["findings"]] == [("shutil", "rejected in review")]
    assert [(one["key"], one["decision"]) for one in report["suppressed"]] == [("wave", "rejected in review: set by\x1b[31m the loader")]
    text = fixbot("check", folder, "--quiet").stdout
    assert "fix: rejected in review\n" in text
    assert "1 finding muted by comments or decisions" in text
    done = fixbot("run", folder, "--output-format", "json", "--quiet")
    fates = {one["key"]: (one["status"], one["reason"]) for one in json.loads(done.stdout)["findings"]}
    assert fates["shutil"] == ("not-attempted", "rejected in review")
    assert fates["wave"] == ("suppressed", "rejected in review: set by\x1b[31m the loader")
    (folder / "app.py").write_text(APP.replace('"x"', '"y"'))
    assert [one["key"] for one in check_json(folder)["findings"]] == ["wave", "shutil"], "a decision ends with the code that it is about"
    figures = fixbot("rules", "--stats").stdout.splitlines()
    assert figures[1].split() == ["undefined-name", "2", "0", "1", "1", "50%"]
    told = {one["id"]: one["decisions"] for one in json.loads(fixbot("rules", "--output-format", "json").stdout)}
    assert told["undefined-name"]["precision"] == 0.5
    assert told["bare-except"] == {"decided": 0, "accepted": 0, "false_positives": 0, "wrong_fixes": 0, "precision": None}


def test_decisions_that_are_no_rejections_change_nothing(folder: Path, tmp_path: Path) -> None:
    for entry, kind in zip(check_json(folder)["findings"], (Kind.LATER, Kind.ACCEPTED), strict=True):
        decide(folder, entry, kind, "")
        decide(folder, entry | {"fingerprint": "0" * 16}, Kind.FALSE_POSITIVE, "")
    other = tmp_path / "elsewhere"
    other.mkdir()
    (other / "app.py").write_text(APP)
    for place in (folder, other):
        report = check_json(place)
        assert len(report["findings"]) == 2
        assert not report["suppressed"]
        assert not any("decision" in one for one in report["findings"])
