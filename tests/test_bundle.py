"""The bundle between the job that runs code and the job that may write: what was changed on the way is refused."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from deliveries import FILES, Case, check_out
from forge_github import github_rig

from fixbot.agent.config import Settings
from fixbot.agent.deliver.bundle import read_bundle, write_bundle
from fixbot.agent.errors import FixbotError, UsageError
from fixbot.agent.result import RunResult
from fixbot.patchers.patch import blob_id

Json = dict[str, Any]


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Generator[Case]:
    folder = tmp_path_factory.mktemp("bundle")
    more = {".github/workflows/test.yml": "on: push\n", "link.py": "x = 1\n", "big.py": "x = 1\n" * 500}
    with github_rig(folder / "forge", {**FILES, **more}) as rig:
        yield Case(rig, check_out(rig.bare.path, folder / "checkout"), folder / "state", Settings.model_validate({"max_new_per_run": 10}))


@pytest.fixture(scope="module")
def result(case: Case) -> RunResult:
    return case.run()


def change(path: Path, edit: Callable[[Json], object], signed: bool = True) -> None:
    """Change a bundle; ``signed`` with a digest that fits, as an attacker would."""
    data = json.loads(path.read_text())
    edit(data["report"])
    if signed:
        text = json.dumps(data["report"], sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        data["sha256"] = hashlib.sha256(text.encode()).hexdigest()
    path.write_text(json.dumps(data))


def fixed(report: Json) -> list[Json]:
    return [one for one in report["findings"] if one["status"] == "fixed"]


def test_a_bundle_is_the_run_without_places_of_this_machine(result: RunResult, tmp_path: Path) -> None:
    path = tmp_path / "bundle.json"
    write_bundle(path, result)
    assert read_bundle(path).to_json() == json.loads(json.dumps(replace(result, repository="").to_json()))
    assert result.repository not in path.read_text()


def test_a_changed_bundle_is_refused(result: RunResult, tmp_path: Path) -> None:
    path = tmp_path / "bundle.json"
    write_bundle(path, result)
    change(path, lambda report: report.update(run="another"), signed=False)
    with pytest.raises(UsageError, match="digest differs"):
        read_bundle(path)


BROKEN: list[Callable[[Json], object]] = [
    lambda report: report.update(base="main"),
    lambda report: report.update(base="--upload-pack=touch x"),
    lambda report: report.update(run="../../x"),
    lambda report: report["findings"][0].update(message={"a": 1}),
    lambda report: report["findings"][0].update(line=-1),
    lambda report: report["findings"][0].update(fingerprint="--> <b>"),
    lambda report: report["findings"][0].update(status="great"),
    lambda report: report["findings"][0].pop("path"),
    lambda report: fixed(report)[0]["patch"].update(edits=[["a.py", "0", 1, "x"]]),
    lambda report: fixed(report)[0]["patch"].update(edits=[["a.py", 0, 1]]),
    lambda report: fixed(report)[0]["verdict"].update(grade="perfect"),
    lambda report: fixed(report)[0]["verdict"].update(proof_test={"path": 1, "source": "", "kept": True}),
    lambda report: report.pop("rules"),
    lambda report: report.update(findings=None),
]


@pytest.mark.parametrize("edit", BROKEN)
def test_a_bundle_of_another_shape_is_refused(edit: Callable[[Json], object], result: RunResult, tmp_path: Path) -> None:
    path = tmp_path / "bundle.json"
    write_bundle(path, result)
    change(path, edit)
    with pytest.raises(UsageError, match="is no bundle of fixbot"):
        read_bundle(path)


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[" * 100_000, b"\xff\xfe", b'{"version": 2}', b"null", b'{"version":1,"sha256":"","report":[]}']
)
def test_what_is_no_bundle_is_refused(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bundle.json"
    path.write_bytes(data)
    with pytest.raises(UsageError):
        read_bundle(path)


def test_a_bundle_without_end_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "bundle.json"
    with path.open("wb") as file:
        os.ftruncate(file.fileno(), 1 << 33)
    with pytest.raises(UsageError, match="larger than 64 MiB"):
        read_bundle(path)


def whole(path: str, text: str, new: str) -> Json:
    """A patch that writes a file anew."""
    data = text.encode()
    return {"bases": {path: blob_id(data)}, "edits": [[path, 0, len(data), new]]}


FETCH = FILES["fetch.py"]
PROOF = {"kept": True, "source": "def test_it():\n    assert True\n"}
ATTACKS: dict[str, Callable[[Json], object]] = {
    "workflow": lambda one: one["patch"].update(whole(".github/workflows/test.yml", "on: push\n", "on: pull_request_target\n")),
    "test": lambda one: one["patch"].update(whole("tests/test_sound.py", FILES["tests/test_sound.py"], "x = 1\n")),
    "requirements": lambda one: one["patch"].update(whole("requirements.txt", "requests\n", "reqeusts\n")),
    "outside": lambda one: one["patch"].update(whole("../outside.py", "x\n", "y\n")),
    "absolute": lambda one: one["patch"].update(whole("/etc/passwd", "x\n", "y\n")),
    "git": lambda one: one["patch"].update(whole(".git/config", "x\n", "y\n")),
    "missing": lambda one: one["patch"].update(whole("new.py", "", "y = 1\n")),
    "another base": lambda one: one["patch"].update(whole("fetch.py", "x\n", "y\n")),
    "a program": lambda one: one["patch"].update(whole("fetch.py", FETCH, f"import os\n{FETCH}\nos.system('id')\n")),
    "made-up code": lambda one: one["patch"].update(whole("fetch.py", FETCH, FETCH.replace("requests.get(url)", "eval(url)"))),
    "an address": lambda one: one["patch"].update(whole("fetch.py", FETCH, FETCH.replace("(url)", "('https://evil.example/')", 1))),
    "a package": lambda one: one["patch"].update(whole("fetch.py", FETCH, f"import reqeusts\n{FETCH}")),
    "deletion": lambda one: one["patch"].update(whole("fetch.py", FETCH, f"import shutil\n{FETCH}\nshutil.rmtree('/')\n")),
    "no syntax": lambda one: one["patch"].update(whole("fetch.py", FETCH, "def (:\n")),
    "muting": lambda one: one["patch"].update(whole("fetch.py", FETCH, FETCH.replace(".text\n", ".text  # noqa\n"))),
    "a thousand lines": lambda one: one["patch"].update(whole("big.py", "x = 1\n" * 500, "x = 2\n" * 500)),
    "proof outside": lambda one: one["verdict"].update(proof_test={**PROOF, "path": "../test_x.py"}),
    "proof as code": lambda one: one["verdict"].update(proof_test={**PROOF, "path": "sound_more.py"}),
    "proof as configuration": lambda one: one["verdict"].update(proof_test={**PROOF, "path": "tests/conftest.py"}),
    "proof over a test": lambda one: one["verdict"].update(proof_test={**PROOF, "path": "tests/test_sound.py"}),
    "proof in a workflow": lambda one: one["verdict"].update(proof_test={**PROOF, "path": ".github/workflows/test_x.py"}),
    "proof without end": lambda one: one["verdict"].update(proof_test={**PROOF, "path": "tests/test_x.py", "source": "#" * 70_000}),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_signed_attack_does_not_pass_the_gate(attack: str, case: Case, result: RunResult, tmp_path: Path) -> None:
    path = tmp_path / "bundle.json"
    write_bundle(path, result)
    change(path, lambda report: ATTACKS[attack](next(one for one in fixed(report) if one["rule"] == "missing-timeout")))
    try:
        delivery = case.deliver(read_bundle(path), dashboard=False)
    except FixbotError:
        delivery = None
    else:
        assert {step.key: step.action.value for step in delivery.steps}["missing-timeout"] == "refused"
    assert "fixbot/missing-timeout" not in case.rig.bare.heads()


def test_the_same_bundle_untouched_passes(case: Case, result: RunResult, tmp_path: Path) -> None:
    path = tmp_path / "bundle.json"
    write_bundle(path, result)
    change(path, lambda report: fixed(report)[0]["verdict"].update(proof_test={**PROOF, "path": "tests/test_proof.py"}))
    delivery = case.deliver(read_bundle(path), dashboard=False)
    assert {step.action.value for step in delivery.steps} <= {"open", "keep", "update"}
    branch = next(step.branch for step in delivery.steps if step.key == fixed(json.loads(path.read_text())["report"])[0]["rule"])
    assert case.rig.bare.git("show", f"{branch}:tests/test_proof.py") + "\n" == PROOF["source"]
