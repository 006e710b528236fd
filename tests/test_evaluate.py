"""``fixbot eval``: the figures of a small repository with one bug that is found and fixed, one that is not, and a decoy that is hit."""

from __future__ import annotations

import json
from pathlib import Path

from conftest import TARGET_PYTHON, RunFixbot, write_tree

MANIFEST = """\
name = "small"
seed = "none"

[[bug]]
id = "1"
heading = "missing import"
rule = "undefined-name"
path = "app.py"
lines = [2, 2]
fix = "codemod"
hidden_test = "test_1.py"

[[bug]]
id = "2"
heading = "no such rule"
rule = "rule-of-the-future"
path = "app.py"
lines = [1, 1]
fix = "model"
hidden_test = "test_2.py"

[[decoy]]
path = "decoy.py"
lines = [1, 9]
rules = ["undefined-name"]
why = "bound from outside"
"""
FILES: dict[str, str | bytes] = {
    "manifest.toml": MANIFEST,
    "repo/app.py": "def f(number):\n    return math.floor(number)\n",
    "repo/decoy.py": "value = outside + 1\n",
    "repo/test_app.py": "def test_app():\n    import app\n\n    assert app.f\n",
    "hidden_tests/test_1.py": "import app\n\n\ndef test_floor():\n    assert app.f(1.5) == 1\n",
    "hidden_tests/test_2.py": "def test_never():\n    assert False\n",
}


def test_figures(fixbot: RunFixbot, tmp_path: Path) -> None:
    write_tree(tmp_path / "all" / "small", FILES)
    done = fixbot("eval", tmp_path / "all", "--python", TARGET_PYTHON, "--output-format", "json", "--quiet")
    (result,) = json.loads(done.stdout)
    assert [(bug["id"], bug["found"], bug["fixed"]) for bug in result["bugs"]] == [("1", True, True), ("2", False, False)]
    assert result["decoys_hit"] == ["decoy.py:1 undefined-name"]
    assert result["precision"] == {"undefined-name": [1, 2]}


def test_rows_that_the_report_leads_to(fixbot: RunFixbot, tmp_path: Path) -> None:
    told = MANIFEST.replace('rule = "undefined-name"\n', 'rule = "undefined-name"\nreport = "BUG-1"\n', 1)
    told = told.replace('rule = "rule-of-the-future"\n', 'rule = "rule-of-the-future"\nreport = "B-2"\n')
    report = "## BUG-1: Import\n**File:** app.py:2\n\n## B-2: Future\n**File:** app.py:2\n"
    write_tree(tmp_path / "small", {**FILES, "manifest.toml": told, "REPORT.md": report})
    done = fixbot("eval", tmp_path / "small", "--detect-only", "--output-format", "json", "--quiet")
    (result,) = json.loads(done.stdout)
    assert [bug["reported"] for bug in result["bugs"]] == [True, False]
    shown = fixbot("eval", tmp_path / "small", "--detect-only", "--quiet").stdout
    assert "rows that their report's entry is placed on: 1 of 2 (50%)" in shown
    write_tree(tmp_path / "small", {"REPORT.md": "# nothing\n"})
    broken = fixbot("eval", tmp_path / "small", "--detect-only", "--quiet")
    assert broken.returncode == 2
    assert "has no entry B-2, BUG-1" in broken.stderr


def test_a_fix_that_does_not_pass_the_hidden_test_does_not_count(fixbot: RunFixbot, tmp_path: Path) -> None:
    write_tree(tmp_path / "small", {**FILES, "hidden_tests/test_1.py": "import app\n\n\ndef test_floor():\n    assert app.f(1.5) == 2\n"})
    done = fixbot("eval", tmp_path / "small", "--python", TARGET_PYTHON, "--output-format", "json", "--quiet")
    (result,) = json.loads(done.stdout)
    assert [(bug["status"], bug["fixed"]) for bug in result["bugs"]] == [("fixed", False), ("", False)]


def test_no_evaluation_repository(fixbot: RunFixbot, tmp_path: Path) -> None:
    done = fixbot("eval", tmp_path)
    assert (done.returncode, "no evaluation repository" in done.stderr) == (2, True)
