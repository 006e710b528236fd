"""What is printed may be the log of a GitHub runner: annotations are exact, and no text of others is a command to it."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import RunFixbot, git, write_tree
from report_samples import hostile, outcome, result

from fixbot.agent.options import Format
from fixbot.agent.report.formats import github
from fixbot.agent.report.html import html
from fixbot.agent.report.markdown import markdown
from fixbot.agent.report.output import LogFormatter, output, print_result
from fixbot.agent.report.terminal import print_run
from fixbot.agent.report.text import clean, inert
from fixbot.agent.result import RunResult, Status
from fixbot.detectors.finding import Finding, Severity, Span

COMMANDS = ("add-mask", "add-matcher", "debug", "echo", "endgroup", "error", "group", "notice", "save-state", "set-env", "stop-commands")
HOSTILE = (
    "::error::x",
    " \t::stop-commands::x",
    "\u3000\xa0::add-mask::secret",
    "long " * 40 + "::error file=a.py,line=1::x",
    "a ##[add-mask]secret",
    "one\n::set-env name=PATH::/tmp\n##[group]b",
    "\ufe0f:\ufe0f:error::x",
    "#\ufe0f#[error]x",
)
DIFF = "--- a/a.py\n+++ b/a.py\n@@ -1,3 +1,3 @@\n ::add-mask::x\n-x = 1\n+x = 2\n # ##[group]y\n"


def commands(text: str) -> list[str]:
    """The lines that a runner obeys: ``::name`` after white space, or ``##[name`` anywhere; signs that show nothing are passed over."""
    names = "|".join(COMMANDS)
    lines = re.sub("[\ufe00-\ufe0f]", "", text).replace("\r", "\n").split("\n")
    return [line for line in lines if re.match(rf"\s*::(?:{names})[ :]", line) or re.search(rf"##\[(?:{names})[ \]]", line)]


def test_the_runner_of_this_test_sees_commands() -> None:
    assert all(commands(text) for text in HOSTILE if not text.startswith("long"))
    assert not any(commands(text) for text in ("x ::error::", "std::vector", "::unknown::", "# [error]", "##[no"))


@pytest.mark.parametrize("text", HOSTILE)
def test_inert_text_is_no_command(text: str) -> None:
    assert commands(inert(text)) == []
    assert inert(inert(text)) == inert(text)


@pytest.mark.parametrize("text", ["a::b()", "x = ys[::2]", "## [1.0]", "#[cfg]", ":: ", "first\nsecond :: third", "", "http://x"])
def test_other_text_stays(text: str) -> None:
    assert inert(text) == (text if text != ":: " else "\\x3a: ")


@pytest.mark.parametrize("text", HOSTILE)
def test_no_format_of_a_run_gives_commands(tmp_path: Path, text: str) -> None:
    run = hostile(text)
    for form in set(Format) - {Format.GITHUB}:
        print_result(form, tmp_path / form, run)
        shown = (tmp_path / form).read_text("utf-8", "surrogateescape")
        assert commands(shown) == [], form
        assert len(shown) > 100
    for line in list(github([one.finding for one in run.outcomes])):
        assert re.match(r"::(error|notice) file=", line)
        assert "\n" not in line
    with output(tmp_path / "full") as console:
        console.width = 40
        print_run(console, run)
    assert commands((tmp_path / "full").read_text("utf-8")) == []
    assert commands(html(run)) == []


@pytest.mark.parametrize("text", [*HOSTILE, "\x1b[31mred"])
def test_log_lines_are_harmless(text: str) -> None:
    record = logging.LogRecord("fixbot", logging.ERROR, __file__, 1, "the file\n%s", (text,), None)
    shown = LogFormatter("%(levelname)s %(message)s").format(record)
    assert commands(shown) == []
    assert "\x1b" not in shown
    assert shown.startswith("ERROR the file\n")


def test_json_keeps_its_values(tmp_path: Path) -> None:
    run = hostile("a ##[add-mask]b")
    print_result(Format.JSON, tmp_path / "out", run)
    assert json.loads((tmp_path / "out").read_text()) == run.to_json()


def test_no_format_of_a_check_gives_commands(fixbot: RunFixbot, tmp_path: Path) -> None:
    write_tree(tmp_path / "p", {"::error::a.py": "x = wave.open('##[add-mask]b')\n", "::warning::broken ##[group].py": "def f(:\n"})
    for form in ("full", "concise"):
        done = fixbot("check", tmp_path / "p", "--output-format", form)
        assert (done.returncode, commands(done.stdout), commands(done.stderr)) == (1, [], [])
        assert "x3a:error::a.py:1:5" in done.stdout


def read(line: str) -> tuple[str, dict[str, str], str]:
    """An annotation as the runner reads it: level, properties, message."""
    level, rest, message = re.fullmatch(r"::(\w+) (.*?)::(.*)", line).groups()  # pyright: ignore[reportOptionalMemberAccess]
    unescaped = dict(part.split("=", 1) for part in rest.split(","))
    for name, value in unescaped.items():
        for token, sign in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
            value = value.replace(token, sign)
        unescaped[name] = value
    for token, sign in (("%0D", "\r"), ("%0A", "\n"), ("%25", "%")):
        message = message.replace(token, sign)
    return level, unescaped, message


@pytest.mark.parametrize("text", ["100% of a, b: c", "%0A%2C", "::error::x", "a,line=9::b", "=", "one\ntwo\r"])
def test_annotations_are_read_as_they_were_meant(text: str) -> None:
    finding = Finding("a-rule", Severity.MEDIUM, f"{text}.py", Span(3, 5, 3, 9), text)
    (line,) = github([finding])
    shown = clean(text).replace("\n", "\\n")
    place = {"file": f"{shown}.py", "line": "3", "endLine": "3", "col": "5", "endColumn": "9", "title": "fixbot a-rule"}
    assert read(line) == ("warning", place, shown)


def test_annotations_of_several_lines_have_no_columns_and_the_worst_come_first() -> None:
    low = Finding("a-rule", Severity.LOW, "a.py", Span(3, 5, 4, 9), "m")
    lines = [read(line) for line in github([low, replace(low, severity=Severity.CRITICAL, path="z.py")])]
    assert [(level, place["file"]) for level, place, _ in lines] == [("error", "z.py"), ("notice", "a.py")]
    assert "col" not in lines[0][1]
    assert lines[0][1]["endLine"] == "4"


def test_what_a_run_has_fixed_is_a_notice(tmp_path: Path) -> None:
    some = tuple(outcome(number, status, Severity.HIGH) for number, status in enumerate((Status.FIXED, Status.FAILED, Status.SUPPRESSED)))
    print_result(Format.GITHUB, tmp_path / "out", replace(result(0), outcomes=some))
    lines = [read(line) for line in (tmp_path / "out").read_text().splitlines()]
    assert [(level, message[:35]) for level, _, message in lines] == [
        ("error", "`session.get(url)` number 1 waits f"),
        ("notice", "fixed on branch fixbot/0123456789: "),
    ]


def test_paths_for_github_count_from_the_repository(fixbot: RunFixbot, tmp_path: Path) -> None:
    write_tree(tmp_path / "p", {"services/a.py": "x = wave.open('y')\n"})
    git(tmp_path / "p", "init", "--quiet")
    annotated = fixbot("check", "services", "--output-format", "github", cwd=tmp_path / "p")
    assert annotated.stdout.startswith("::error file=services/a.py,line=1,")
    assert fixbot("check", "services", "--output-format", "concise", cwd=tmp_path / "p").stdout.startswith("a.py:1:5: ")


def printed(diff: str, *, actions: bool, file: Path | None = None) -> str:
    """What ``write_diff`` prints to a pipe, or has printed to a file."""
    code = "import sys; from fixbot.agent.report.output import write_diff; write_diff(None, sys.argv[1])"
    environment = os.environ | {"GITHUB_ACTIONS": "true" if actions else ""}
    with open(file or os.devnull, "wb") as stream:
        where = stream if file else subprocess.PIPE
        done = subprocess.run([sys.executable, "-P", "-c", code, diff], env=environment, check=True, stdout=where)
    return file.read_text() if file else done.stdout.decode()


def test_a_diff_in_a_log_switches_commands_off_and_still_applies(tmp_path: Path) -> None:
    shown = printed(DIFF, actions=True)
    first, *middle, last = shown.splitlines()
    mark = first.removeprefix("::stop-commands::")
    assert (len(mark), last, "\n".join(middle).strip("\n")) == (32, f"::{mark}::", DIFF.strip("\n"))
    write_tree(tmp_path, {"a.py": "::add-mask::x\nx = 1\n# ##[group]y\n"})
    subprocess.run(["git", "apply"], cwd=tmp_path, input=shown, text=True, check=True)
    assert (tmp_path / "a.py").read_text() == "::add-mask::x\nx = 2\n# ##[group]y\n"


def test_a_diff_elsewhere_is_as_it_is(tmp_path: Path) -> None:
    assert printed(DIFF, actions=False) == DIFF
    assert printed(DIFF, actions=True, file=tmp_path / "x.diff") == DIFF
    assert printed(DIFF.replace("::", "").replace("##[", ""), actions=True).startswith("--- a/a.py\n")


def test_markdown_is_cut_between_findings() -> None:
    run = result(60)
    whole = markdown(run)
    assert markdown(run, len(whole.encode())) == whole
    for limit in (1000, 5000, 20_000, len(whole.encode()) - 1):
        cut = markdown(run, limit)
        assert len(cut.encode()) <= limit
        assert whole.startswith(cut[: cut.rindex("**Cut to")])
        assert cut.count("```") % 2 == 0
        left = re.search(r"\*\*Cut to [\d,]+ bytes:\*\* (\d+) of (\d+) findings", cut)
        assert left
        assert int(left[2]) - int(left[1]) == len(re.findall("^### ", cut, re.MULTILINE))


def test_markdown_is_cut_by_bytes_not_by_signs() -> None:
    run: RunResult = replace(result(9), notes=("é" * 600, "\udcff" * 200))
    assert len(markdown(run, 3000).encode()) <= 3000
