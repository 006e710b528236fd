"""A runner for this repository's workflows: their own shell steps run as they are, GitHub around them is a folder.

    runner = Runner(folder, rig, secrets={"FIXBOT_API_KEY": "..."})
    jobs = runner.run(ROOT / ".github/workflows/fixbot.yml")
    jobs["find"].log, jobs["find"].steps["Find and prove fixes"].outputs["fixed"], runner.artifacts

Three actions have an equivalent: ``actions/checkout`` (a shallow clone with the forge as ``origin``), ``actions/upload-artifact`` and
``actions/download-artifact`` (a folder). ``uses: ./`` is this repository's own action; its step `Install fixbot` is left out: the
environment of the tests takes its place. Expressions are those of GitHub, as far as the workflows use them.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any, cast

import yaml
from conftest import ONE_BASELINE, git
from forge_github import GitHub
from forge_rig import Rig

ROOT = Path(__file__).parents[1]
_TOKEN = re.compile(r"\s*('(?:[^']|'')*'|&&|\|\||==|!=|[!()]|[A-Za-z_][\w-]*(?:\.[A-Za-z_][\w-]*)*)")
Contexts = Mapping[str, Any]


def load(path: Path) -> dict[str, Any]:
    """A workflow or an action; ``on`` is a name there."""
    data: dict[Any, Any] = yaml.safe_load(path.read_text())
    return {"on" if key is True else key: value for key, value in data.items()}


def evaluate(expression: str, contexts: Contexts) -> Any:
    """The value of what is between ``${{`` and ``}}``. Raises ValueError for what this evaluator does not know."""
    tokens = [match[1] for match in _TOKEN.finditer(expression)]
    if "".join(tokens) != re.sub(r"\s+(?=(?:[^']*'[^']*')*[^']*$)", "", expression):
        raise ValueError(f"cannot read {expression!r}")
    value = _either(tokens, contexts)
    if tokens:
        raise ValueError(f"cannot read {expression!r} from {tokens[0]}")
    return value


def _either(tokens: list[str], contexts: Contexts) -> Any:
    value = _both(tokens, contexts)
    while tokens[:1] == ["||"]:
        del tokens[0]
        other = _both(tokens, contexts)
        value = value or other
    return value


def _both(tokens: list[str], contexts: Contexts) -> Any:
    value = _compared(tokens, contexts)
    while tokens[:1] == ["&&"]:
        del tokens[0]
        other = _compared(tokens, contexts)
        value = value and other
    return value


def _compared(tokens: list[str], contexts: Contexts) -> Any:
    value = _single(tokens, contexts)
    while tokens[:1] in (["=="], ["!="]):
        same = tokens.pop(0) == "=="
        value = (_shown(value).lower() == _shown(_single(tokens, contexts)).lower()) is same
    return value


def _single(tokens: list[str], contexts: Contexts) -> Any:
    token = tokens.pop(0)
    if token == "!":
        return not _single(tokens, contexts)
    if token == "(":
        value = _either(tokens, contexts)
        tokens.remove(")")
        return value
    if token.startswith("'"):
        return token[1:-1].replace("''", "'")
    return reduce(lambda found, name: found.get(name) if hasattr(found, "get") else None, token.split("."), cast("Any", contexts))


def _shown(value: Any) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def resolve(template: Any, contexts: Contexts) -> str:
    """A text of a workflow with its expressions replaced."""
    return re.sub(r"\$\{\{(.*?)\}\}", lambda match: _shown(evaluate(match[1].strip(), contexts)), _shown(template))


@dataclass(slots=True)
class Step:
    """A step that ran: the environment that its shell had, its outputs."""

    env: dict[str, str] = field(default_factory=dict[str, str])
    outputs: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(slots=True)
class Job:
    """A job that ran. ``steps`` are by name, those of an action too; ``code`` is that of the step that ended it."""

    folder: Path
    steps: dict[str, Step] = field(default_factory=dict[str, Step])
    log: str = ""
    summary: str = ""
    code: int = 0

    @property
    def workspace(self) -> Path:
        """Where the checkout is."""
        return self.folder / "workspace"

    def commands(self) -> list[str]:
        """What a runner would obey in the log."""
        found: list[str] = []
        mark = ""
        for line in self.log.splitlines():
            if mark:
                mark = "" if line == f"::{mark}::" else mark
            elif line.startswith("::stop-commands::"):
                mark = line.removeprefix("::stop-commands::")
            elif line.lstrip().startswith("::") or "##[" in line:
                found.append(line)
        return found


@dataclass(slots=True)
class Runner:
    """Where workflows run. ``ref`` is the branch or other ref that is checked out at ``sha`` (None: its tip); ``paths`` are folders that
    come first on PATH, ``python`` is the active virtual environment of a job, by job.
    """

    folder: Path
    rig: Rig[GitHub]
    secrets: Mapping[str, str] = field(default_factory=dict[str, str])
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    event: Mapping[str, Any] = field(default_factory=dict[str, Any])
    ref: str = "refs/heads/main"
    paths: Mapping[str, Path] = field(default_factory=dict[str, Path])
    python: Mapping[str, Path] = field(default_factory=dict[str, Path])
    artifacts: Path = field(init=False)
    runs: int = 0

    def __post_init__(self) -> None:
        self.artifacts = self.folder / "artifacts"

    def run(self, workflow: Path) -> dict[str, Job]:
        """Run a workflow's jobs, each in a folder of its own; one that needs a failed one is left out."""
        self.runs += 1
        shutil.rmtree(self.artifacts, ignore_errors=True)
        jobs: dict[str, Job] = {}
        for name, data in load(workflow)["jobs"].items():
            needed = [data["needs"]] if isinstance(data.get("needs"), str) else data.get("needs", [])
            if all(one in jobs and jobs[one].code == 0 for one in needed):
                jobs[name] = Job(self.folder / f"{self.runs}-{name}")
                self._run_job(name, data, jobs[name])
        return jobs

    def use(self, inputs: Mapping[str, Any], name: str = "job", before: Callable[[Job], None] = lambda job: None) -> Job:
        """Run this repository's action alone, in a checkout."""
        self.runs += 1
        job = Job(self.folder / f"{self.runs}-{name}")
        checkout = {"uses": "actions/checkout@x", "with": {"fetch-depth": 2, "persist-credentials": False}}
        self._run_job(name, {"steps": [checkout]}, job)
        before(job)
        self._step({"name": "action", "uses": "./", "with": inputs}, job, self._contexts(job))
        return job

    def _run_job(self, name: str, data: Mapping[str, Any], job: Job) -> None:
        for folder in (job.workspace, job.folder / "temp" / "fixbot", job.folder / "home"):
            folder.mkdir(parents=True)
        (job.folder / "temp" / "fixbot" / "venv").symlink_to(Path(sys.executable).parents[1])
        contexts = self._contexts(job)
        for step in data["steps"]:
            self._step(step, job, contexts)
            if job.code:
                return

    def _contexts(self, job: Job) -> dict[str, Any]:
        server = {"repository": self.rig.name, "token": self.rig.token, "event": self.event, "ref": self.ref}
        runner = {"temp": str(job.folder / "temp"), "os": "Linux"}
        return {"github": server, "secrets": self.secrets, "vars": self.variables, "runner": runner, "steps": {}}

    def _step(self, step: Mapping[str, Any], job: Job, contexts: dict[str, Any]) -> None:
        name = step.get("name") or step.get("uses", "")
        given = {key: resolve(value, contexts) for key, value in step.get("with", {}).items()}
        ran = job.steps[name] = Step()
        match step.get("uses", "").partition("@")[0]:
            case "":
                self._shell(step, job, contexts, ran)
            case "./":
                ran.outputs = self._own_action(given, job, contexts)
            case "actions/checkout":
                self._check_out(given, job)
            case "actions/upload-artifact":
                shutil.copytree(Path(given["path"]).parent, self.artifacts / given["name"], ignore=_all_but(Path(given["path"]).name))
            case "actions/download-artifact":
                shutil.copytree(self.artifacts / given["name"], given["path"])
            case other:
                raise ValueError(f"no equivalent of {other}")
        contexts["steps"][step.get("id", name)] = {"outputs": ran.outputs}

    def _own_action(self, given: Mapping[str, str], job: Job, outside: Contexts) -> dict[str, str]:
        action = load(ROOT / "action.yml")
        assert given.keys() <= action["inputs"].keys()
        inputs = {name: given.get(name, resolve(one["default"], outside)) for name, one in action["inputs"].items()}
        contexts = {"inputs": inputs, "github": outside["github"], "runner": outside["runner"], "steps": {}}
        for step in action["runs"]["steps"]:
            if step["id"] != "install" and job.code == 0:
                self._step(step, job, contexts)
        return {name: resolve(one["value"], contexts) for name, one in action["outputs"].items()}

    def _check_out(self, given: Mapping[str, str], job: Job) -> None:
        """What actions/checkout leaves behind: no credentials, so many commits, HEAD on the branch or, for another ref, detached."""
        assert given["persist-credentials"] == "false"
        branch = self.ref.removeprefix("refs/heads/")
        kept = f"refs/remotes/origin/{branch}" if branch != self.ref else self.ref.replace("refs/", "refs/remotes/", 1)
        git(job.workspace, "init", "--quiet", "--initial-branch=unborn")
        git(job.workspace, "remote", "add", "origin", self.rig.clone_url.removesuffix(".git"))
        depth = given.get("fetch-depth", "1")
        git(job.workspace, "fetch", "--quiet", "--no-tags", f"--depth={depth}", f"file://{self.rig.bare.path}", f"+{self.ref}:{kept}")
        git(job.workspace, "checkout", "--quiet", *(("-B", branch) if branch != self.ref else ("--detach",)), kept)

    def _shell(self, step: Mapping[str, Any], job: Job, contexts: Contexts, ran: Step) -> None:
        job_name = job.folder.name.partition("-")[2]
        output, summary = job.folder / "output", job.folder / "summary"
        for file in (output, summary):
            file.write_bytes(b"")
        path = [str(self.paths[job_name])] if job_name in self.paths else []
        ran.env = {
            "PATH": ":".join([*path, "/usr/local/bin", "/usr/bin", "/bin"]),
            "HOME": str(job.folder / "home"),
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTION_PATH": str(ROOT),
            "GITHUB_API_URL": self.rig.api,
            "GITHUB_SERVER_URL": self.rig.server,
            "GITHUB_REPOSITORY": self.rig.name,
            "GITHUB_REF": self.ref,
            "GITHUB_OUTPUT": str(output),
            "GITHUB_STEP_SUMMARY": str(summary),
            "GITHUB_WORKSPACE": str(job.workspace),
            "RUNNER_TEMP": str(job.folder / "temp"),
            "PYTHONPYCACHEPREFIX": os.environ.get("PYTHONPYCACHEPREFIX", ""),
            **ONE_BASELINE,
            **({"VIRTUAL_ENV": str(self.python[job_name])} if job_name in self.python else {}),
            **{name: resolve(value, contexts) for name, value in step.get("env", {}).items()},
        }
        script = job.folder / "step.sh"
        script.write_text(step["run"])
        shell = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", script]
        done = subprocess.run(
            shell, cwd=job.workspace, env=ran.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )
        job.log += done.stdout.decode("utf-8", "replace")
        job.summary += summary.read_text()
        job.code = done.returncode
        ran.outputs = read_outputs(output.read_text())


def read_outputs(text: str) -> dict[str, str]:
    """What a step has written into ``GITHUB_OUTPUT``, as a runner reads it."""
    found: dict[str, str] = {}
    lines = iter(text.splitlines())
    for line in lines:
        name, _, mark = line.partition("<<")
        found[name] = "\n".join(iter(lambda: next(lines), mark))
    return found


def _all_but(name: str) -> Callable[[Any, list[str]], list[str]]:
    return lambda _, names: [one for one in names if one != name]


def everything(folder: Path) -> bytes:
    """All that lies in a folder's files, names too; links are not followed."""
    parts: list[bytes] = []
    for place, _, names in os.walk(folder):
        files = [Path(place, name) for name in names]
        parts += [os.fsencode(file) + b"\n" + file.read_bytes() for file in files if file.is_file() and not file.is_symlink()]
    return b"\n".join(parts)
