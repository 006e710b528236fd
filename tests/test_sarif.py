"""SARIF out, as the schema and GitHub's rules want it; SARIF in, whatever it holds."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from conftest import FIXBOT, TARGET_PYTHON, RunFixbot, git, write_tree

from fixbot.agent.errors import UsageError
from fixbot.agent.report.sarif import MAX_RESULTS, read_sarif, sarif
from fixbot.detectors.finding import Finding, Related, Severity, Span
from fixbot.detectors.registry import all_rules

NAMES = ["a b.py", "ü/x#y.py", "100%.py", "dir:x/z.py"]
BUGS = "import asyncio\n\n\nasync def f():\n    asyncio.create_task(g())\n    return 'é𝒳', wave.open('x')  # [a](1) {0}\n"
FILES: dict[str, str | bytes] = {
    **dict.fromkeys(NAMES, BUGS),
    "muted.py": "x = 1  # fixbot: ignore[bare-except]\n",
    "test_x.py": "def test_x():\n    pass\n",
}
ONE = Finding("undefined-name", Severity.CRITICAL, "a.py", Span(1, 1, 1, 5), "`x` is odd", fingerprint="f")
HOSTILE = "x\x1b[31m\u202e [link](http://e.example) \\ {0} `` \x00\ud800"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with findings of several rules."""
    made = tmp_path_factory.mktemp("sarif") / "project"
    write_tree(made, FILES)
    git(made, "init", "--quiet")
    git(made, "add", "--all")
    git(made, "commit", "--quiet", "-m", "first")
    return made


@pytest.fixture(scope="module")
def logs(folder: Path) -> dict[str, Any]:
    """What ``check``, ``run`` and ``report`` print for it, with the results of another tool; and two more logs."""
    place = {"artifactLocation": {"uri": "a%20b.py"}, "region": {"startLine": 2}}
    results = [{"ruleId": "B 1\x1b", "message": {"text": HOSTILE}, "locations": [{"physicalLocation": place}]}]
    other = folder.parent / "other.sarif"
    other.write_text(json.dumps({"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "Other Tool"}}, "results": results}]}))
    commands: dict[str, tuple[str | Path, ...]] = {
        "check": ("check", folder, "--sarif-in", other),
        "run": ("run", folder, "--sarif-in", other, "--python", TARGET_PYTHON, "--quiet"),
        "report": ("report", "last"),
        "empty": ("check", folder / "muted.py", "--select", "undefined-name"),
    }
    environment = os.environ | {"FIXBOT_STATE_DIR": str(folder.parent / "state"), "FIXBOT_OUTPUT_FORMAT": "sarif"}
    found = {
        name: json.loads(subprocess.run([FIXBOT, *command], env=environment, stdout=subprocess.PIPE, check=False).stdout)
        for name, command in commands.items()
    }
    hostile = replace(ONE, rule=f"t/{HOSTILE}", path=f"d/\x1b{HOSTILE[:-1]}\udcff", message=HOSTILE, related=(Related("b.py", 3, HOSTILE),))
    return found | {"hostile": json.loads(json.dumps(sarif([hostile])))}


def results_of(log: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each result with the descriptor that it points to."""
    (run,) = log["runs"]
    for result in run["results"]:
        yield result, run["tool"]["driver"]["rules"][result["ruleIndex"]]


def test_what_github_asks_for(logs: dict[str, Any]) -> None:
    assert {one["ruleId"] for one, _ in results_of(logs["check"])} >= {"undefined-name", "lost-task-reference", "unused-suppression"}
    assert [len(list(results_of(logs[name]))) for name in ("check", "run", "report", "empty")] == [14, 14, 14, 0]
    for log in logs.values():
        (run,) = log["runs"]
        assert (log["version"], run["columnKind"], run["tool"]["driver"]["name"]) == ("2.1.0", "unicodeCodePoints", "fixbot")
        for result, rule in results_of(log):
            assert rule["id"] == result["ruleId"]
            assert all(rule[key]["text"].strip() for key in ("shortDescription", "fullDescription", "help"))
            assert rule["help"]["markdown"].strip()
            assert rule["properties"]["precision"] in ("very-high", "high", "medium", "low")
            assert rule["properties"]["problem.severity"] in ("error", "warning", "recommendation")
            assert rule["defaultConfiguration"]["level"] in ("error", "warning", "note")
            assert result["message"]["text"].endswith(".")
            assert all(isinstance(value, str) and value for value in result["partialFingerprints"].values())
            for place in (*result["locations"], *result["relatedLocations"]):
                where = place["physicalLocation"]["artifactLocation"]
                assert where["uriBaseId"] == "%SRCROOT%"
                assert where["uri"].isascii()
                assert not where["uri"].startswith(("/", "file:"))
                assert ":" not in where["uri"]
                assert place["physicalLocation"]["region"]["startLine"] >= 1


def test_places_and_fingerprints_are_those_of_the_other_formats(logs: dict[str, Any], fixbot: RunFixbot, folder: Path) -> None:
    report = json.loads(fixbot("check", folder, "--output-format", "json").stdout)
    mine = [(one, rule) for one, rule in results_of(logs["check"]) if not rule["id"].startswith("other-tool/")]
    assert len(report["findings"]) == len(mine)
    for entry, (result, _) in zip(report["findings"], mine, strict=True):
        assert result["partialFingerprints"]["primaryLocationLineHash"] == entry["fingerprint"]
        region = result["locations"][0]["physicalLocation"]["region"]
        assert [region[key] for key in ("startLine", "startColumn", "endLine", "endColumn")] == [
            entry[key] for key in ("line", "column", "end_line", "end_column")
        ]
    name = next(one for one, _ in mine if "wave" in one["message"]["text"])
    assert name["locations"][0]["physicalLocation"]["region"]["startColumn"] == 18  # counted in UTF-16 it would be 19


def test_text_makes_no_links(logs: dict[str, Any]) -> None:
    ((hostile, _),) = results_of(logs["hostile"])
    for text in (hostile["message"]["text"], hostile["relatedLocations"][0]["message"]["text"]):
        assert text.isprintable()
        assert "\\[link\\](http" in text
    again = next(one for one, rule in results_of(logs["check"]) if rule["id"].startswith("other-tool/"))
    assert "\x1b" not in again["ruleId"]


def test_more_results_than_github_takes() -> None:
    many = [replace(ONE, fingerprint=str(number), severity=Severity.LOW) for number in range(MAX_RESULTS + 5)]
    many[-1] = replace(ONE, fingerprint="worst")
    (run,) = sarif(many)["runs"]
    assert len(run["results"]) == MAX_RESULTS == 25_000
    assert run["results"][-1]["partialFingerprints"]["fixbot/v1"] == "worst"
    (note,) = run["invocations"][0]["toolExecutionNotifications"]
    assert note["message"]["text"] == "Only the 25000 worst of 25005 findings are listed, as many as GitHub takes."
    assert "invocations" not in sarif(many[:MAX_RESULTS])["runs"][0]
    related = tuple(Related("b.py", number, "see") for number in range(1, 2000))
    assert len(sarif([replace(ONE, related=related)])["runs"][0]["results"][0]["relatedLocations"]) == 1000


def test_every_rule_has_its_page_as_help() -> None:
    found = [replace(ONE, rule=name) for name in all_rules()]
    for result, rule in results_of(sarif(found)):
        assert rule["help"]["text"] == all_rules()[result["ruleId"]].page.read_text("utf-8")


def read(tmp_path: Path, results: object, name: object = "T") -> list[Finding]:
    file = tmp_path / "in.sarif"
    file.write_text(json.dumps({"runs": [{"tool": {"driver": {"name": name}}, "results": results}]}))
    return list(read_sarif(file))


@pytest.mark.parametrize(
    ("region", "span"),
    [
        ({"startLine": 3}, Span(3, 1, 3, 1)),
        ({"startLine": 0, "startColumn": -5}, Span(1, 1, 1, 1)),
        ({"startLine": 5, "startColumn": 9, "endLine": 2, "endColumn": 1}, Span(5, 9, 5, 9)),
        ({"startLine": 5, "startColumn": 9, "endLine": 6, "endColumn": 1}, Span(5, 9, 6, 1)),
    ],
)
def test_regions_of_others_are_mended(tmp_path: Path, region: object, span: Span) -> None:
    place = {"physicalLocation": {"artifactLocation": {"uri": "a.py"}, "region": region}}
    (one,) = read(tmp_path, [{"message": {"text": "x"}, "locations": [place]}])
    assert one.span == span
    assert one.rule == "t/unnamed"


@pytest.mark.parametrize(
    "uri", ["/etc/passwd", "../x.py", "a/../../x.py", "file:///x.py", "C:/x.py", "%2e%2e/x.py", "%2Fetc/x", "", ".", "\ud800.py"]
)
def test_places_outside_are_left_out(tmp_path: Path, uri: str) -> None:
    place = {"physicalLocation": {"artifactLocation": {"uri": uri}, "region": {"startLine": 1}}}
    assert read(tmp_path, [{"message": {"text": "x"}, "locations": [place]}]) == []


@pytest.mark.parametrize("results", ["[1]", '{"a": 1}', '"text"', '[{"locations": [{"physicalLocation": {}}]}]', '[{"locations": [null]}]'])
def test_what_is_no_sarif_is_refused(tmp_path: Path, results: str) -> None:
    with pytest.raises(UsageError, match=r"not a SARIF 2\.1\.0 file"):
        read(tmp_path, json.loads(results))


# The schema, and Microsoft's and GitHub's rules. Both are in the npm package @microsoft/sarif-multitool@5.7.0, which is no part of this
# project: npm i --no-save --ignore-scripts @microsoft/sarif-multitool@5.7.0


@pytest.fixture(scope="session")
def multitool() -> Path:
    """The folder of the npm package."""
    tops = (Path(os.environ.get("FIXBOT_TEST_NODE_MODULES", "/nonexistent")), Path(__file__).parents[1] / "node_modules")
    found = next((top / "@microsoft/sarif-multitool-linux" for top in tops if (top / "@microsoft/sarif-multitool-linux").is_dir()), None)
    if found is None or shutil.which("node") is None:
        pytest.skip("node and the npm package @microsoft/sarif-multitool are needed in ./node_modules or FIXBOT_TEST_NODE_MODULES")
    return found


def test_valid_by_the_schema(logs: dict[str, Any], multitool: Path) -> None:
    schema = json.loads((multitool / "sarif-2.1.0.json").read_bytes())
    checker = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)
    many = sarif([replace(ONE, fingerprint=str(number)) for number in range(MAX_RESULTS + 1)])
    del many["runs"][0]["results"][10:]
    for name, log in (logs | {"many": many}).items():
        assert [error.message for error in checker.iter_errors(log)] == [], name  # pyright: ignore[reportUnknownMemberType]


@pytest.mark.parametrize("kind", ["Sarif", "Gh"])
def test_no_complaint_of_the_validator(logs: dict[str, Any], multitool: Path, tmp_path: Path, kind: str) -> None:
    program = multitool / "Sarif.Multitool"
    program.chmod(program.stat().st_mode | 0o100)
    for name, log in logs.items():
        file, answer = tmp_path / f"{name}.sarif", tmp_path / f"{name}.{kind}.json"
        file.write_text(json.dumps(log))
        command = [program, "validate", file, "--rule-kind", kind, "--output", answer, "--log", "ForceOverwrite"]
        subprocess.run(command, env={**os.environ, "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1"}, check=False, capture_output=True)
        (run,) = json.loads(answer.read_bytes())["runs"]
        complaints = [(entry["ruleId"], entry["message"], entry.get("locations")) for entry in run.get("results", ())]
        assert [entry for entry in complaints if entry[0] != "SARIF2005"] == [], name  # it wants the tool's address; there is none yet
