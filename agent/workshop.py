"""What it takes to work on a private clone: scan it, find the interpreter for its tests, run them. Runs and reviews are made with it."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fixbot.agent import workspace as ws
from fixbot.agent.config import Settings
from fixbot.agent.environments import Environment, resolve
from fixbot.agent.errors import NoEnvironmentError
from fixbot.agent.events import Emit, Note, Progress
from fixbot.agent.result import NO_SPEND
from fixbot.agent.sandbox.base import Limits, MiB, Sandbox
from fixbot.agent.session import Rounds
from fixbot.agent.store import Ledger, RunRecord
from fixbot.agent.verify.runner import SuiteRunner
from fixbot.agent.verify.suite import SuiteOptions, SuiteResult
from fixbot.detectors.project import Project, discover
from fixbot.detectors.scan import Options, Scan, scan
from fixbot.patchers.model.budget import Budget
from fixbot.patchers.model.messages import Model
from fixbot.prompts import versions


@dataclass(slots=True)
class Stopwatch:
    """Wall seconds a stage, summed over its parts."""

    seconds: dict[str, float] = field(default_factory=dict[str, float])

    @contextmanager
    def __call__(self, stage: str) -> Generator[None]:
        """Measure a block as part of a stage."""
        start = time.monotonic()
        try:
            yield
        finally:
            self.seconds[stage] = round(self.seconds.get(stage, 0.0) + time.monotonic() - start, 3)


@dataclass(slots=True)
class Workshop:
    """The clone with all that works on it: a ``Session`` for the rounds. ``state`` is the folder for caches."""

    workspace: ws.Workspace
    settings: Settings
    sandbox: Sandbox
    ledger: Ledger
    record: RunRecord
    state: Path
    emit: Emit
    model: Model | None
    budget: Budget
    watch: Stopwatch = field(default_factory=Stopwatch)

    def scan(self, root: Path, commit: str) -> Scan:
        """Scan a folder that holds the files of a commit."""
        return self.scan_with(root, commit, Options())

    def scan_with(self, root: Path, commit: str, options: Options) -> Scan:
        """Scan a folder that holds the files of a commit, with the settings' rules and whatever else the options say."""
        settings, cache = self.settings, self.state / "scan.sqlite" if self.settings.cache else None
        options = replace(options, select=settings.select, ignore=settings.ignore, jobs=settings.jobs, cache=cache)
        return scan(self.project(root, commit), options, lambda done, total: self.emit(Progress("scan", done, total)))

    def project(self, root: Path, commit: str) -> Project:
        """The files of a commit as a project."""
        return discover(root, ws.files(self.workspace, commit), self.settings.exclude)

    def environment(self) -> Environment | str:
        """The interpreter for the tests, or why there is none."""
        self.emit(Progress("environment", 0, 0))
        try:
            return resolve(
                self.workspace.root,
                repository=self.workspace.repository,
                python=self.settings.python,
                cache=self.state / "environments",
                sandbox=self.sandbox,
                progress=lambda text: self.emit(Note(text)),
            )
        except NoEnvironmentError as error:
            self.emit(Note(str(error)))
            return f"the tests cannot be run: {error.message}"

    def runner(self, environment: Environment) -> SuiteRunner:
        """What runs the suite; the ledger remembers its runs."""
        settings = self.settings
        options = SuiteOptions(
            settings.test_command, settings.timeout, settings.test_timeout, Limits(settings.timeout, memory=settings.memory * MiB)
        )

        def memo(key: str, compute: Callable[[], SuiteResult]) -> SuiteResult:
            return self.ledger.step(self.record.id, key, compute, SuiteResult.from_json, SuiteResult.to_json)

        return SuiteRunner(self.workspace, environment, self.sandbox, options, memo, self.emit)

    def spend(self, rounds: Rounds) -> dict[str, Any]:
        """What the run took of the model: {model, calls, tokens, cost, estimated, prompts}; ``prompts`` are the versions of the prompts."""
        if self.model is None:
            return dict(NO_SPEND)
        spent = self.budget.spent
        name = next((one.spend.model for one in rounds.conversations.values() if one.spend.model), self.settings.model)
        tokens = sum(one.spend.tokens for one in rounds.conversations.values())
        return {
            "model": name,
            "calls": spent.calls,
            "tokens": spent.prompt_tokens + spent.completion_tokens or tokens,
            "cost": spent.cost,
            "estimated": spent.estimated,
            "prompts": versions(),
        }
