"""The GitHub Action and its workflows: their own steps, run from a checkout to pull requests on a fake forge."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import AUTHOR, TARGET_PYTHON, git
from deliveries import FILES, Case, check_out
from forge_github import GitHub, github_rig
from forge_rig import Rig
from workflow_rig import ROOT, Job, Runner, everything

from fixbot.agent.deliver.bundle import write_bundle

SCHEDULED, ON_PULL_REQUEST = ROOT / ".github/workflows/fixbot.yml", ROOT / ".github/workflows/fixbot-pr.yml"
KEY = "canary-key-5150"
BRANCH = "fixbot/undefined-name"
ENVIRON = """
import glob, os


def test_no_secret_is_in_sight():
    seen = [str(dict(os.environ)).encode()]
    for path in glob.glob("/proc/*/environ") + glob.glob("/proc/*/cmdline"):
        try:
            seen.append(open(path, "rb").read())
        except OSError:
            pass
    assert not [text for text in seen if b"canary-" b"key" in text or b"TOKEN" in text and b"FORGE_" b"TOKEN" in text]
"""
SOUND = "def length(path):\n    with wave.open(path) as sound:\n        return sound.getnframes()\n"
TESTS = """
import pytest

from sound import length


def test_length(tmp_path):
    with pytest.raises(Exception):
        length(tmp_path / "no")
"""


def ran_outside(marker: Path) -> str:
    """A conftest that leaves a file behind where no sandbox keeps it from it."""
    return f"import pathlib\ntry:\n    pathlib.Path({str(marker)!r}).write_text('ran')\nexcept OSError:\n    pass\n"


# From a checkout to a pull request


@dataclass
class Week:
    """Two scheduled runs of the workflow on a repository, and what the forge had after each."""

    rig: Rig[GitHub]
    runner: Runner
    jobs: list[dict[str, Job]]
    heads: list[dict[str, str]]
    pulls: list[int]
    marker: Path


@pytest.fixture
def week(tmp_path: Path, target_environment: None) -> Generator[Week]:
    folder = tmp_path
    marker, stubs = folder / "ran", folder / "stubs"
    stubs.mkdir()
    for name in ("bwrap", "pytest", "python", "python3"):
        (stubs / name).write_text(f"#!/bin/sh\ntouch {marker}\nexit 1\n")
        (stubs / name).chmod(0o755)
    files = {
        "sound.py": SOUND,
        "tests/test_sound.py": TESTS,
        "tests/test_environ.py": ENVIRON,
        "conftest.py": ran_outside(marker),
        "setup.py": ran_outside(marker),
        "sitecustomize.py": ran_outside(marker),
        "fetch.py": "import requests\n\n\ndef page(url):\n    return requests.get(url).text\n",
    }
    with github_rig(folder, files) as rig:
        # the model is never asked: its address answers nothing, and codemods fix all
        variables = {"FIXBOT_MODEL": "a-model", "FIXBOT_BASE_URL": "http://127.0.0.1:9/v1"}
        environment = {"find": TARGET_PYTHON.parents[1]}
        secrets = {"FIXBOT_API_KEY": KEY}
        runner = Runner(folder, rig, secrets, variables, paths={"deliver": stubs}, python=environment)
        week = Week(rig, runner, [], [], [], marker)
        for _ in range(2):
            week.jobs.append(runner.run(SCHEDULED))
            week.heads.append(rig.bare.heads())
            week.pulls.append(len(rig.forge.pulls))
        yield week


def it_ends_in_pull_requests(week: Week) -> None:
    find, deliver = (week.jobs[0][name] for name in ("find", "deliver"))
    assert (find.code, deliver.code) == (0, 0), find.log + deliver.log
    assert find.steps["Find and prove fixes"].outputs["findings"] == "2"
    assert find.steps["Find and prove fixes"].outputs["fixed"] == "2"
    assert set(week.heads[0]) == {"main", BRANCH, "fixbot/missing-timeout"}
    assert week.rig.bare.git("show", f"{BRANCH}:sound.py").startswith("import wave\n")
    titles = {one["title"] for one in week.rig.forge.pulls.values()}
    assert titles == {"fix: undefined-name in sound.py", "fix: missing-timeout in fetch.py"}
    outputs = deliver.steps["Open pull requests"].outputs
    assert outputs["pull-request-number"] == "1"
    assert [one["number"] for one in json.loads(outputs["pull-requests"])] == [1, 2]
    assert outputs["dashboard-url"]
    assert outputs["exit-code"] == "0"


def it_says_what_it_did(week: Week) -> None:
    find, deliver = (week.jobs[0][name] for name in ("find", "deliver"))
    assert find.summary.startswith("# Bug report\n")
    assert "sandbox: bwrap" in find.summary
    assert "**Tests without fixes:** 2 passed, 0 failed" in find.summary
    assert "- **opened** undefined-name (1 fix) #1 <http" in deliver.summary
    assert (find.commands(), deliver.commands()) == ([], [])


def the_week_after_brings_nothing_new(week: Week) -> None:
    find, deliver = (week.jobs[1][name] for name in ("find", "deliver"))
    assert (find.code, deliver.code) == (0, 0), find.log + deliver.log
    assert week.heads[1] == week.heads[0]
    assert week.pulls == [2, 2]
    assert [one["action"] for one in json.loads(deliver.steps["Open pull requests"].outputs["pull-requests"])] == ["keep", "keep"]
    assert deliver.steps["Open pull requests"].outputs["pull-request-number"] == ""


def the_job_that_runs_code_has_no_token(week: Week) -> None:
    find, deliver = (week.jobs[0][name] for name in ("find", "deliver"))
    for step in find.steps.values():
        assert week.rig.token not in str(step.env)
        assert step.env.get("FIXBOT_FORGE_TOKEN", "") == ""
    assert find.steps["Run fixbot"].env["FIXBOT_API_KEY"] == KEY  # and test_environ.py, which passed, did not see it
    assert [name for name, step in deliver.steps.items() if week.rig.token in str(step.env)] == ["Run fixbot"]
    assert KEY not in str([step.env for step in deliver.steps.values()])


def the_job_that_has_the_token_runs_no_code(week: Week) -> None:
    assert not week.marker.exists()
    marker = week.runner.folder / "ran-outside"
    script = (week.jobs[0]["deliver"].workspace / "conftest.py").read_text().replace(str(week.marker), str(marker))
    subprocess.run([sys.executable, "-c", script], check=True)
    assert marker.exists()  # it would have told


def no_secret_is_left_anywhere(week: Week) -> None:
    left = everything(week.runner.folder)
    texts = "".join(job.log + job.summary for jobs in week.jobs for job in jobs.values())
    sent = str([(one.body, one.target) for one, _ in week.rig.asked if not one.target.endswith("git-receive-pack") and one.raw[:1] == b"{"])
    for secret in (KEY, week.rig.token):
        assert secret not in texts
        assert secret.encode() not in left
        assert secret not in sent
    assert b"bundle.json" in left


def a_bundle_that_was_changed_is_refused(week: Week) -> None:
    bundle = week.runner.folder / "changed.json"
    text = (week.runner.artifacts / "fixbot-bundle" / "bundle.json").read_text()
    bundle.write_text(text.replace("import wave", "import evil"))
    job = week.runner.use({"mode": "deliver", "bundle": bundle})
    assert job.code == 2
    assert "its digest differs" in job.log
    assert job.commands() == ["::error title=fixbot::fixbot deliver ended with exit code 2: see the log above"]
    assert week.rig.bare.heads() == week.heads[0]


LOOKS = (
    it_ends_in_pull_requests,
    it_says_what_it_did,
    the_week_after_brings_nothing_new,
    the_job_that_runs_code_has_no_token,
    the_job_that_has_the_token_runs_no_code,
    no_secret_is_left_anywhere,
    a_bundle_that_was_changed_is_refused,
)


def test_two_weeks(week: Week) -> None:
    for look in LOOKS:  # one test: two weeks cost seconds, and each worker of the tests would live through them anew
        look(week)


def test_inputs_of_a_delivery(tmp_path: Path) -> None:
    with github_rig(tmp_path, FILES) as rig:
        rig.forge.labels |= dict.fromkeys(("bugs", "fixbot", "proven"), "ededed")  # none has to be made
        bundle = tmp_path / "a bundle.json"
        write_bundle(bundle, Case(rig, check_out(rig.bare.path, tmp_path / "checkout"), tmp_path / "state").run())
        inputs = {"labels": "bugs, fixbot\nproven", "reviewers": "ann", "assignees": "ann", "draft": "true", "group": "file"}
        more = {"dashboard": "false", "upload-sarif": "true", "max-new-per-run": "1", "max-open": "3", "base-branch": "main"}
        job = Runner(tmp_path, rig).use({"mode": "deliver", "bundle": bundle, **inputs, **more})
        assert job.code == 0, job.log
        (pull,) = rig.forge.pulls.values()
        assert ([one["name"] for one in pull["labels"]], pull["draft"]) == (["bugs", "fixbot", "proven"], True)
        assert [[one["login"] for one in pull[key]] for key in ("requested_reviewers", "assignees")] == [["ann"], ["ann"]]
        assert (len(rig.forge.sarifs), rig.forge.issues) == (1, {})
        outputs = job.steps["action"].outputs
        assert (outputs["pull-request-number"], outputs["dashboard-url"]) == (str(pull["number"]), "")
        assert json.loads(outputs["pull-requests"])[0]["group"].startswith("sound-py-")
        assert "- **waits** fetch-py-" in job.summary
        assert job.commands() == []


# Pull requests


@pytest.fixture(scope="module")
def pull_request(tmp_path_factory: pytest.TempPathFactory) -> Generator[Runner]:
    """A pull request that adds a bug below one that is there, and a file with a hostile name."""
    folder = tmp_path_factory.mktemp("pull-request")
    with github_rig(folder, {"sound.py": SOUND, "conftest.py": ran_outside(folder / "ran")}) as rig:
        more = SOUND + "\n\ndef copy(path):\n    return shutil.copy(path, '.')\n"
        rig.bare.git("branch", "topic", "main")
        rig.bare.commit("topic", {"sound.py": more, "::warning::x\n::error file=y::z.py": "print(nothing)\n"})
        merged = rig.bare.git("commit-tree", "topic^{tree}", "-p", "main", "-p", "topic", "-m", "Merge", env=AUTHOR)
        rig.bare.git("update-ref", "refs/pull/7/merge", merged)
        yield Runner(folder, rig, event={"pull_request": {"number": 7}}, ref="refs/pull/7/merge")


def test_a_pull_request_gets_annotations_on_its_lines_alone(pull_request: Runner) -> None:
    job = pull_request.run(ON_PULL_REQUEST)["check"]
    assert job.code == 1, job.log
    first, second = sorted(job.commands())
    assert first.startswith("::error file=%3A%3Awarning%3A%3Ax")
    assert second.startswith("::error file=sound.py,line=7,")
    assert job.summary == "**fixbot:** 2 findings on changed lines\n"
    assert job.steps["Check"].outputs["findings"] == "2"
    assert job.steps["Check"].outputs["exit-code"] == "1"
    assert pull_request.rig.token not in str([step.env for step in job.steps.values()])
    assert not (pull_request.folder / "ran").exists()
    assert pull_request.rig.asked == []


def test_inputs_reach_the_command_as_they_are(pull_request: Runner) -> None:
    inputs = {"exit-zero": "true", "select": "undefined-name,\n naive-datetime", "ignore": "bare-except"}
    job = pull_request.use({**inputs, "args": "--no-cache --jobs '1'", "changed-since": "HEAD^1"})
    assert job.code == 0, job.log
    assert job.steps["action"].outputs["findings"] == "2"
    assert job.steps["action"].outputs["exit-code"] == "1"


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        ({"mode": "$(touch ran)"}, "mode must be one of check, run, deliver"),
        ({"exit-zero": "maybe", "path": "nothing/here"}, "fixbot check ended with exit code 2"),
        ({"args": "'open"}, "args cannot be read: No closing quotation"),
        ({"mode": "deliver"}, "there is no bundle"),
        ({"mode": "deliver", "bundle": "sound.py", "draft": "perhaps"}, "draft must be true or false"),
        ({"changed-since": "--output=/tmp/x\n::add-mask::y"}, "fixbot check ended with exit code 2"),
    ],
)
def test_inputs_that_make_no_sense(pull_request: Runner, inputs: dict[str, str], told: str) -> None:
    job = pull_request.use(inputs)
    assert job.code == 2
    (command,) = job.commands()
    assert command.startswith(f"::error title=fixbot::{told}")
    assert not (job.workspace / "ran").exists()


def test_a_checkout_has_the_shape_that_a_runner_makes(pull_request: Runner) -> None:
    job = pull_request.use({"args": "--help"})
    assert git(job.workspace, "remote", "get-url", "origin") == pull_request.rig.clone_url.removesuffix(".git")
    assert git(job.workspace, "rev-list", "--count", "--first-parent", "HEAD") == "2"
    assert (job.workspace / ".git" / "shallow").exists()
