"""Run the target's suite on a commit with some files changed: in a fresh throw-away copy each time, remembered in the ledger."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from fixbot.agent.environments import Environment
from fixbot.agent.events import Emit, Progress, SuiteRan
from fixbot.agent.sandbox.base import Sandbox
from fixbot.agent.verify.results import GOOD
from fixbot.agent.verify.suite import SuiteOptions, SuiteResult, run_suite
from fixbot.agent.workspace import Workspace, export


class Memo(Protocol):
    """Remembers a suite run under a key: gives back what is known, else computes it."""

    def __call__(self, key: str, compute: Callable[[], SuiteResult]) -> SuiteResult:
        """The value of a key."""
        ...


@dataclass(slots=True)
class SuiteRunner:
    """Everything that is the same for all suite runs of a run of fixbot. ``runs`` counts them."""

    workspace: Workspace
    environment: Environment
    sandbox: Sandbox
    options: SuiteOptions
    memo: Memo
    emit: Emit
    runs: int = 0
    _asked: Counter[str] = field(default_factory=Counter[str])

    def run(
        self,
        commit: str,
        overlay: Mapping[str, bytes],
        *,
        label: str,
        patches: int = 0,
        select: Sequence[str] | None = None,
        watch: Mapping[str, Collection[int]] | None = None,
    ) -> SuiteResult:
        """One run. Asking for the same thing again runs it again; only a resumed run is answered from the ledger. Raises SandboxError."""
        options = replace(self.options, select=select, watch=watch or {})
        key = self._key(commit, overlay, options)
        self._asked[key] += 1
        self.runs += 1
        result = self.memo(f"suite:{key}:{self._asked[key]}", lambda: self._run(commit, overlay, options, label))
        passed = sum(test.outcome in GOOD for test in result.tests.values())
        failed = sum(test.outcome in ("failed", "error") for test in result.tests.values())
        self.emit(SuiteRan(label, patches, passed, failed, result.seconds, result.problem))
        return result

    def _run(self, commit: str, overlay: Mapping[str, bytes], options: SuiteOptions, label: str) -> SuiteResult:
        self.emit(Progress(label, 0, 0))
        with tempfile.TemporaryDirectory(prefix="tree-", dir=self.workspace.root.parent, ignore_cleanup_errors=True) as folder:
            tree = Path(folder) / self.workspace.repository.name
            export(self.workspace, tree, commit, overlay)
            return run_suite(
                tree,
                self.environment,
                self.sandbox,
                options,
                self.workspace.repository,
                lambda done, total: self.emit(Progress(label, done, total)),
            )

    def _key(self, commit: str, overlay: Mapping[str, bytes], options: SuiteOptions) -> str:
        files = {path: hashlib.sha256(data).hexdigest() for path, data in sorted(overlay.items())}
        watch = {path: sorted(lines) for path, lines in sorted(options.watch.items())}
        return hashlib.sha256(json.dumps([commit, files, options.select, watch]).encode()).hexdigest()[:32]
