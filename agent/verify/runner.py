"""Run the target's suite on a commit with some files changed: in a fresh throw-away copy each time, remembered in the ledger."""

from __future__ import annotations

import hashlib
import json
import re
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
from fixbot.agent.verify.suite import SuiteOptions, SuiteResult, TestResult, run_suite
from fixbot.agent.workspace import Workspace, export

_ADDRESS = re.compile(r"\b0x[0-9a-f]{6,16}\b|(?<=\.\.\.)[0-9a-f]{6,16}(?=>)")


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
    _tests: dict[str, TestResult] = field(default_factory=dict[str, TestResult])

    def run(
        self,
        commit: str,
        overlay: Mapping[str, bytes],
        *,
        label: str,
        patches: int = 0,
        select: Sequence[str] | None = None,
        watch: Mapping[str, Collection[int]] | None = None,
        files: Sequence[str] = (),
    ) -> SuiteResult:
        """One run. Asking for the same thing again runs it again; only a resumed run is answered from the ledger. Raises SandboxError."""
        options = replace(self.options, select=select, watch=watch or {}, files=files)
        key = self._key(commit, overlay, options)
        self._asked[key] += 1
        self.runs += 1
        result = self.memo(f"suite:{key}:{self._asked[key]}", lambda: self._run(commit, overlay, options, label))
        self._tests |= {} if overlay else result.tests
        passed = sum(test.outcome in GOOD for test in result.tests.values())
        failed = sum(test.outcome in ("failed", "error") for test in result.tests.values())
        self.emit(SuiteRan(label, patches, passed, failed, result.seconds, result.problem))
        return result

    def without_fixes(self, names: Collection[str]) -> dict[str, TestResult]:
        """The last results of some tests in runs without any fix."""
        return {name: self._tests[name] for name in names if name in self._tests}

    def _run(self, commit: str, overlay: Mapping[str, bytes], options: SuiteOptions, label: str) -> SuiteResult:
        self.emit(Progress(label, 0, 0))
        with tempfile.TemporaryDirectory(prefix="tree-", dir=self.workspace.root.parent, ignore_cleanup_errors=True) as folder:
            tree = Path(folder) / self.workspace.repository.name
            export(self.workspace, tree, commit, overlay)
            result = run_suite(
                tree,
                self.environment,
                self.sandbox,
                options,
                self.workspace.repository,
                lambda done, total: self.emit(Progress(label, done, total)),
            )
            return _without_places(result, (str(self.workspace.repository), str(tree)))

    def _key(self, commit: str, overlay: Mapping[str, bytes], options: SuiteOptions) -> str:
        files = {path: hashlib.sha256(data).hexdigest() for path, data in sorted(overlay.items())}
        watch = {path: sorted(lines) for path, lines in sorted(options.watch.items())}
        return hashlib.sha256(json.dumps([commit, files, options.select, watch, list(options.files)]).encode()).hexdigest()[:32]


def _without_places(result: SuiteResult, roots: Sequence[str]) -> SuiteResult:
    """What tests printed without what differs from run to run and is nobody's business: where the tree lay, addresses of objects."""

    def clean(text: str) -> str:
        for root in roots:
            text = text.replace(f"{root}/", "").replace(root, ".")
        return _ADDRESS.sub("0x...", text)

    tests = {name: replace(test, detail=clean(test.detail)) if test.detail else test for name, test in result.tests.items()}
    errors = {name: clean(text) for name, text in result.collection_errors.items()}
    return replace(result, tests=tests, collection_errors=errors, output=clean(result.output))
