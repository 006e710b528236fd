"""Every output format: well formed, complete, and harmless whatever the repository's text holds."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
from conftest import RunFixbot, write_tree

from fixbot.agent.report.formats import github
from fixbot.agent.report.markdown import code, escape, markdown
from fixbot.agent.report.sarif import sarif
from fixbot.agent.report.text import clean
from fixbot.agent.result import Outcome, RunResult, Status, result_from_json
from fixbot.detectors.finding import Finding, Severity, Span

HOSTILE = "x\x1b[31m\x07\u202e\u200b\U000e0041\r\n::set-output name=a::b\n</script>`` ` @user fixes #1 ![x](http://e.example/)"
FILES: dict[str, str | bytes] = {"a b.py": "x = wave.open('é')\n", "broken.py": "def f(:\n"}


def finding(**changes: object) -> Finding:
    values: dict[str, object] = {
        "rule": "undefined-name",
        "severity": Severity.CRITICAL,
        "path": "a\x1b]0;t.py",
        "span": Span(1, 1, 1, 5),
        "message": HOSTILE,
        "scope": HOSTILE,
        "fingerprint": "f",
    }
    return Finding(**(values | changes))  # pyright: ignore[reportArgumentType]


def result() -> RunResult:
    patch: dict[str, Any] = {
        "origin": "codemod",
        "safety": "safe",
        "bases": {},
        "edits": [],
        "diff": f"+{HOSTILE}\n",
        "model": None,
        "tokens": 0,
        "cost": 0,
    }
    return RunResult("r", "/repo", "b" * 40, None, None, (Outcome(finding(), Status.FAILED, HOSTILE, patch),), 3, 2, notes=(HOSTILE,))


def test_json_of_check(fixbot: RunFixbot, tmp_path: Path) -> None:
    write_tree(tmp_path / "p", FILES)
    report = json.loads(fixbot("check", tmp_path / "p", "--output-format", "json").stdout)
    (one,) = report["findings"]
    assert (report["version"], report["root"], report["files_scanned"]) == (1, ".", 1)
    assert report["files_skipped"] == [{"path": "broken.py", "reason": "syntax error, line 1"}]
    assert (one["rule"], one["path"], one["line"], one["column"], one["end_line"], one["end_column"]) == (
        "undefined-name",
        "a b.py",
        1,
        5,
        1,
        9,
    )
    assert one["fix"] == {"kind": "codemod", "safety": "safe"}


@pytest.mark.parametrize("name", ["full", "concise", "json", "json-lines", "sarif", "github", "junit"])
def test_every_format_of_check(fixbot: RunFixbot, tmp_path: Path, name: str) -> None:
    write_tree(tmp_path / "p", FILES)
    target = tmp_path / "out.txt"
    shown = fixbot("check", tmp_path / "p", "--output-format", name)
    written = fixbot("check", tmp_path / "p", "--output-format", name, "--output-file", target)
    assert (shown.returncode, written.returncode, written.stdout) == (1, 1, "")
    assert target.read_text().split() == shown.stdout.split()
    text = target.read_text()
    match name:
        case "concise":
            assert text.startswith("a b.py:1:5: critical undefined-name `wave` is not defined")
        case "json-lines":
            assert [json.loads(row)["line"] for row in text.splitlines()] == [1]
        case "sarif":
            log = json.loads(text)
            location = log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
            assert location["artifactLocation"] == {"uri": "a%20b.py", "uriBaseId": "%SRCROOT%"}
            assert location["region"]["startColumn"] == 5
        case "github":
            assert text.startswith("::error file=a b.py,line=1,endLine=1,col=5,endColumn=9,title=fixbot undefined-name::")
        case "junit":
            assert [case.get("name") for case in ElementTree.fromstring(text).iter("testcase")] == ["a b.py"]
        case _:
            assert "undefined-name" in text


def test_exit_codes(fixbot: RunFixbot, tmp_path: Path) -> None:
    write_tree(tmp_path / "p", FILES)
    write_tree(tmp_path / "clean", {"a.py": "x = 1\n"})
    assert fixbot("check", tmp_path / "clean").returncode == 0
    assert fixbot("check", tmp_path / "p").returncode == 1
    assert fixbot("check", tmp_path / "p", "--exit-zero").returncode == 0
    assert fixbot("check", tmp_path / "p", "--output-format", "xml").returncode == 2


def test_baseline_hides_what_was_known(fixbot: RunFixbot, tmp_path: Path) -> None:
    write_tree(tmp_path / "p", FILES)
    baseline = tmp_path / "baseline.json"
    fixbot("check", tmp_path / "p", "--output-format", "json", "--output-file", baseline)
    assert fixbot("check", tmp_path / "p", "--baseline", baseline).returncode == 0
    write_tree(tmp_path / "p", {"b.py": "y = wave.x\n"})
    assert fixbot("check", tmp_path / "p", "--baseline", baseline).returncode == 1
    broken = fixbot("check", tmp_path / "p", "--baseline", tmp_path / "p" / "b.py")
    assert (broken.returncode, "no JSON report" in broken.stderr) == (2, True)


def test_sarif_goes_in_and_out(fixbot: RunFixbot, tmp_path: Path) -> None:
    write_tree(tmp_path / "p", FILES)
    log = sarif([finding(path="a b.py", message="found by another tool")])
    log["runs"][0]["results"].append(
        {"message": {"text": "out"}, "locations": [{"physicalLocation": {"artifactLocation": {"uri": "../x.py"}}}]}
    )
    (tmp_path / "in.sarif").write_text(json.dumps(log))
    done = fixbot("check", tmp_path / "p", "--sarif-in", tmp_path / "in.sarif", "--output-format", "json")
    rules = [entry["rule"] for entry in json.loads(done.stdout)["findings"]]
    assert sorted(rules) == ["fixbot/undefined-name", "undefined-name"]
    assert fixbot("check", tmp_path / "p", "--sarif-in", tmp_path / "p" / "a b.py").returncode == 2


def test_hidden_characters_show_as_escapes() -> None:
    shown = clean(HOSTILE)
    assert shown.isprintable() or set(shown) - {"\n"} == {sign for sign in shown if sign.isprintable()}
    assert "\\x1b[31m" in shown
    assert "\\u202e" in shown


def test_github_annotations_are_one_line_each() -> None:
    rows = list(github([finding(), finding(path="b.py")]))
    assert len(rows) == 2
    assert all(row.startswith("::error ") and "\n" not in row and "\r" not in row and "\x1b" not in row for row in rows)


def test_markdown_shows_text_as_text() -> None:
    text = markdown(result())
    assert "\x1b" not in text
    assert "\u202e" not in text
    outside = "".join(part for index, part in enumerate(text.split("```")) if index % 2 == 0)
    assert "</script>" not in outside.replace("\\<", "")
    assert escape("@user <b> [x](y)") == "\\@user \\<b\\> \\[x\\](y)"
    assert code("a`b") == "`` a`b ``"


def test_run_results_survive_json() -> None:
    one = result()
    assert result_from_json(json.loads(json.dumps(one.to_json()))) == one


def test_terminal_output_holds_no_control_characters(fixbot: RunFixbot, tmp_path: Path) -> None:
    write_tree(tmp_path / "p", {"a\x1b]0;evil\x07.py": "x = wave.open('\x1b[31m\u202e')\n"})
    done = fixbot("check", tmp_path / "p")
    assert done.returncode == 1
    assert "\x1b" not in done.stdout
    assert "\u202e" not in done.stdout
