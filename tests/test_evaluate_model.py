"""``fixbot eval`` with a model: scripted replies that are right, wrong and cheating, and a live endpoint on loopback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from conftest import FIXBOT, TARGET_PYTHON, RunFixbot, write_tree
from model_server import answer, failure, serve

from fixbot.agent.errors import UsageError
from fixbot.agent.manifest import Bug, owner
from fixbot.agent.scripted import Script, ScriptedModel, scripts
from fixbot.detectors.finding import Finding, Severity, Span
from fixbot.patchers.model.messages import Message, Request

APP = '''\
def mean(values):
    """The mean; 0 without values."""
    return sum(values) / len(values)


def last(values):
    """The value at the end."""
    return values[0]


def floor(number):
    return math.floor(number)


def twice(number):
    """Two times the number."""
    return number + 2
'''
SUITE = """\
import app


def test_mean():
    assert app.mean([1, 3]) == 2


def test_last():
    assert app.last([4, 4]) == 4


def test_twice():
    assert app.twice(2) == 4
"""


def _bug(number: int, heading: str, line: int, rule: str = "rule-of-the-future", fix: str = "model") -> str:
    return (
        f'[[bug]]\nid = "{number}"\nheading = "{heading}"\nrule = "{rule}"\npath = "app.py"\nlines = [{line}, {line}]\n'
        f'fix = "{fix}"\nhidden_test = "test_{number}.py"\nreport = "BUG-{number}"\n\n'
    )


def _entry(number: int, heading: str, line: int) -> str:
    return f"### BUG-{number}: {heading}\n**File:** app.py:{line}\n**Severity:** P1\n{heading}.\n\n"


def _blocks(old: str, new: str, path: str = "app.py") -> str:
    return f"{path}\n<<<<<<< SEARCH\n{old}\n=======\n{new}\n>>>>>>> REPLACE\n"


def _test(name: str, check: str) -> str:
    return f"import app\n\n\ndef test_{name}():\n    assert {check}\n"


MEAN, LAST, TWICE = "    return sum(values) / len(values)", "    return values[0]", "    return number + 2"
GOOD_MEAN = _blocks(MEAN, "    return sum(values) / len(values) if values else 0")
REPLIES = {
    "1/good.md": f"The empty list is taken care of.\n\n{GOOD_MEAN}",
    "1/proof.md": f"```python\n{_test('mean_of_nothing', 'app.mean([]) == 0')}```\n",
    "1/wrong.md": _blocks(MEAN, "    return sum(values) / len(values) if values else None"),
    "1/cheat.md": _blocks("    assert app.mean([1, 3]) == 2", "    assert True", "test_app.py"),
    "2/good.md": _blocks(LAST, "    return values[-1]"),
    "2/wrong.md": _blocks(LAST, "    return values[1] + 1"),
    "4/good.md": _blocks(TWICE, "    return number * 3 - 2"),  # passes the suite, and isn't good at all
}
FILES: dict[str, str | bytes] = {
    "manifest.toml": 'name = "small"\nseed = "none"\n\n'
    + _bug(1, "Mean of nothing", 3)
    + _bug(2, "Last is first", 8)
    + _bug(3, "Missing import", 12, "undefined-name", "codemod")
    + _bug(4, "Twice adds", 17),
    "REPORT.md": "# Bugs\n\n" + _entry(1, "Mean of nothing", 3) + _entry(2, "Last is first", 8) + _entry(4, "Twice adds", 17),
    "repo/app.py": APP,
    "repo/test_app.py": SUITE,
    "hidden_tests/test_1.py": _test("mean", "app.mean([]) == 0"),
    "hidden_tests/test_2.py": _test("last", "app.last([1, 2]) == 2"),
    "hidden_tests/test_3.py": _test("floor", "app.floor(1.5) == 1"),
    "hidden_tests/test_4.py": _test("twice", "app.twice(3) == 6"),
    **{f"replies/{name}": text for name, text in REPLIES.items()},
}


def _rows(run: Mapping[str, Any]) -> dict[str, tuple[Any, ...]]:
    return {row["id"]: (row["fate"], row["grade"], row["proof"], row["hidden"]) for row in run["rows"]}


def test_scripted(fixbot: RunFixbot, tmp_path: Path) -> None:
    write_tree(tmp_path / "all" / "small", FILES)
    command = ("eval", tmp_path / "all", "--scripted", "all", "--python", TARGET_PYTHON, "--output-format", "json", "--quiet")
    good, wrong, cheat = json.loads(fixbot(*command, timeout=500).stdout)
    assert [run["scripted"] for run in (good, wrong, cheat)] == ["good", "wrong", "cheat"]
    assert _rows(good) == {
        "1": ("fixed", "verified", True, True),
        "2": ("fixed", "checked", False, True),
        "3": ("fixed by a codemod", "", False, True),
        "4": ("plausible-but-wrong", "checked", False, False),
    }
    assert "no test that fails without the fix" in good["rows"][1]["reason"]
    assert (good["asked"], good["verified"], good["proof_tests"]) == (3, 1, 1)
    assert good["prompt_tokens"]["count"] == 3
    assert 100 < good["prompt_tokens"]["median"] <= good["prompt_tokens"]["max"] < 3000
    assert _rows(wrong)["1"] == ("plausible-but-wrong", "checked", False, False)
    assert _rows(wrong)["2"][0] == "rejected by tests"
    assert "test_last" in wrong["rows"][1]["reason"]
    assert _rows(wrong)["4"][0] == "no reply"
    assert _rows(cheat)["1"][0] == "refused"
    assert (cheat["asked"], cheat["verified"], cheat["counts"]["no reply"]) == (1, 0, 2)


def test_a_wrong_reply_that_is_accepted_as_verified_is_named(fixbot: RunFixbot, tmp_path: Path) -> None:
    weak = f"```python\n{_test('mean_of_nothing', 'not app.mean([])')}```\n"
    only = 'name = "small"\nseed = "none"\n\n' + _bug(1, "Mean of nothing", 3)
    report = "# Bugs\n\n" + _entry(1, "Mean of nothing", 3)
    write_tree(tmp_path / "small", {**FILES, "manifest.toml": only, "REPORT.md": report, "replies/1/proof.md": weak})
    shown = fixbot("eval", tmp_path / "small", "--scripted", "wrong", "--python", TARGET_PYTHON, "--quiet", timeout=300).stdout
    assert "small: scripted wrong" in shown
    assert "bad replies accepted as VERIFIED: 1 (must be 0)\n  small 1: reported-bug app.py:3\n" in shown
    assert "1 first prompt: median" in shown


def test_live(fixbot: RunFixbot, tmp_path: Path) -> None:
    """Through the SDK, over HTTP; the limit holds for both repositories together."""

    def script(body: dict[str, Any]) -> Any:
        system, asked = body["messages"][0]["content"], body["messages"][1]["content"]
        if "pytest test" in system:
            return answer(REPLIES["1/proof.md"], usage={"prompt_tokens": 1_000_000, "completion_tokens": 20})  # all that there is
        return answer(GOOD_MEAN if "Mean of nothing" in asked else "ABSTAIN: not sure")

    write_tree(tmp_path / "all" / "one", {**FILES, "manifest.toml": str(FILES["manifest.toml"]).replace("small", "one")})
    write_tree(tmp_path / "all" / "two", {**FILES, "manifest.toml": str(FILES["manifest.toml"]).replace("small", "two")})
    write_tree(tmp_path, {"prices.toml": '[prices."test-model"]\ninput = 1.0\noutput = 2.0\n'})
    with serve(script) as server:
        command = ("eval", tmp_path / "all", "--model", "test-model", "--base-url", server.base_url, "--max-cost", "1")
        command = (*command, "--config", tmp_path / "prices.toml", "--python", TARGET_PYTHON, "--output-format", "json", "--quiet")
        done = fixbot(*command, env={"FIXBOT_API_KEY": "canary-key"}, timeout=300)
    one, two = json.loads(done.stdout)
    assert (one["scripted"], one["model"]) == (None, "test-model")
    assert _rows(one)["1"] == ("fixed", "verified", True, True)
    assert [row["fate"] for row in one["rows"]] == ["fixed", "abstained", "fixed by a codemod", "abstained"]
    assert one["prompt_tokens"] == {"count": 3, "median": 100, "max": 100}
    assert one["tokens"] == 3 * 120 + 1_000_020
    assert one["cost"] == pytest.approx((3 * 100 + 1_000_000 + 4 * 20 * 2) / 1e6)
    assert not one["tokens_estimated"]
    assert [row["fate"] for row in two["rows"]] == ["over-budget", "over-budget", "fixed by a codemod", "over-budget"]
    assert (len(server.requests), two["tokens"]) == (4, 0)
    assert all(request.headers["authorization"] == "Bearer canary-key" for request in server.requests)
    assert "canary-key" not in done.stdout + done.stderr


ONE_BUG = 'name = "small"\nseed = "none"\n\n' + _bug(1, "Mean of nothing", 3)
ONE_BUG_FILES: dict[str, str | bytes] = {**FILES, "manifest.toml": ONE_BUG, "REPORT.md": "# Bugs\n\n" + _entry(1, "Mean of nothing", 3)}


def test_an_endpoint_that_is_gone_ends_the_evaluation(fixbot: RunFixbot, tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        write_tree(tmp_path / "all" / name, {**ONE_BUG_FILES, "manifest.toml": ONE_BUG.replace("small", name)})
    steps: list[Any] = ["ABSTAIN: not sure", failure(401, "no such key")]
    with serve(steps) as server:
        command = ("eval", tmp_path / "all" / "one", tmp_path / "all" / "two", tmp_path / "all" / "three", "--quiet")
        done = fixbot(*command, "--model", "m", "--base-url", server.base_url, "--python", TARGET_PYTHON, timeout=300)
    assert done.returncode == 2
    assert "one: live" in done.stdout
    assert "two: live" in done.stdout
    assert "three" not in done.stdout
    assert done.stdout.endswith("INCOMPLETE: broken off after 2 runs\n")
    assert "could not be asked any more" in done.stderr
    assert "401" in done.stderr
    assert len(server.requests) == 2


def test_an_interrupted_evaluation_shows_what_it_has(tmp_path: Path, target_environment: None) -> None:
    app = APP + "\n\ndef third(values):\n    return valeus[2]\n"
    write_tree(tmp_path / "small", {**ONE_BUG_FILES, "repo/app.py": app})
    running: list[subprocess.Popen[str]] = []

    def script(body: dict[str, Any]) -> Any:
        if "Mean of nothing" not in body["messages"][1]["content"]:
            return "ABSTAIN: not sure"
        running[0].send_signal(signal.SIGINT)
        return GOOD_MEAN

    with serve(script) as server:
        command = [FIXBOT, "eval", tmp_path / "small", "--model", "m", "--base-url", server.base_url, "--python", TARGET_PYTHON, "--quiet"]
        env = os.environ | {"FIXBOT_STATE_DIR": str(tmp_path / "state"), "FIXBOT_MODEL_JOBS": "1"}
        running.append(subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        shown, errors = running[0].communicate(timeout=120)
    assert running[0].returncode == 130, errors
    assert "Traceback" not in errors
    assert shown == "INCOMPLETE: broken off after 0 runs; decided in the next one, not judged by hidden tests: 1 abstained\n"


def test_wrong_usage(fixbot: RunFixbot, tmp_path: Path) -> None:
    write_tree(tmp_path / "small", FILES)
    both = fixbot("eval", tmp_path / "small", "--scripted", "good", "--model", "m")
    assert (both.returncode, "exclude each other" in both.stderr) == (2, True)
    none = fixbot("eval", tmp_path / "small" / "repo", "--scripted", "good")
    assert (none.returncode, "no evaluation repository" in none.stderr) == (2, True)
    kind = fixbot("eval", tmp_path / "small", "--scripted", "better")
    assert (kind.returncode, "better" in kind.stderr) == (2, True)


def test_scripts_asked_for() -> None:
    assert scripts([Script.CHEAT, Script.GOOD, Script.CHEAT]) == (Script.GOOD, Script.CHEAT)
    assert scripts([Script.ALL]) == (Script.GOOD, Script.WRONG, Script.CHEAT)


def _ask(model: ScriptedModel, purpose: str, finding: str = "f", text: str = "x" * 35) -> str:
    return model.complete(Request((Message("user", text),), purpose, finding, "rule app.py:1")).text


def test_a_scripted_model_insists(tmp_path: Path) -> None:
    write_tree(tmp_path, {"replies/1/good.md": "fix", "replies/1/proof.md": "test"})
    model = ScriptedModel(tmp_path, Script.GOOD, {"f": "1", "g": "2"})
    assert [_ask(model, purpose) for purpose in ("fix", "repair", "proof")] == ["fix", "fix", "test"]
    assert _ask(model, "fix", "f", "longer" * 100) == "fix"
    assert model.prompts == {"f": 11}
    assert _ask(model, "fix", "g") == _ask(model, "fix", "unknown") == "ABSTAIN: no scripted reply"
    assert _ask(ScriptedModel(tmp_path, Script.WRONG, {"f": "1"}), "fix") == "ABSTAIN: no scripted reply"
    write_tree(tmp_path, {"replies/1/good.md": b"\xff\xfe"})
    with pytest.raises(UsageError, match="cannot be read"):
        _ask(model, "fix")


def _finding(rule: str, line: int, entry: str = "", path: str = "app.py") -> Finding:
    facts = {"reports": [{"id": entry}]} if entry else {}
    return Finding(rule, Severity.LOW, path, Span(line, 1, line, 2), "message", facts=facts)


def _known(name: str, lines: tuple[int, int], report: str | None, rule: str = "undefined-name") -> Bug:
    return Bug(id=name, heading="h", rule=rule, path="app.py", lines=lines, fix="model", report=report)


def test_the_bug_that_a_finding_is_of() -> None:
    bugs = (_known("a", (1, 5), "R1"), _known("b", (20, 25), "R1"), _known("c", (3, 4), None, "naive-datetime"), _known("d", (3, 9), "R2"))

    def of(finding: Finding) -> str | None:
        bug = owner(finding, bugs)
        return bug.id if bug else None

    assert of(_finding("undefined-name", 2)) == "a"
    assert of(_finding("undefined-name", 4, "R2")) == "d"  # of two with its rule the one that its report names
    assert of(_finding("naive-datetime", 4)) == "c"
    assert of(_finding("reported-bug", 21, "R1")) == "b"
    assert of(_finding("reported-bug", 17, "R1")) == "b"  # the nearest, where it stands on no bug's lines
    assert of(_finding("reported-bug", 9, "R1", "other.py")) == "a"
    assert of(_finding("reported-bug", 22, "R9")) == "b"  # an entry that no bug names
    assert of(_finding("naive-datetime", 22)) is None
    assert of(_finding("undefined-name", 12)) is None
    assert of(_finding("reported-bug", 12, "R9")) is None
