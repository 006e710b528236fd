"""Deliveries for the tests: a project with known bugs on a forge of the tests, a checkout of it, and runs over that.

The findings and patches are real, made by detectors and codemods; only the runs of the suite are left out: their verdicts are made up.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from conftest import git
from forge_github import GitHub as Hub
from forge_rig import Rig

from fixbot.agent import workspace as ws
from fixbot.agent.config import Settings
from fixbot.agent.deliver.deliver import Delivery, deliver
from fixbot.agent.deliver.github import open_github
from fixbot.agent.deliver.http import Manners
from fixbot.agent.result import Outcome, RunResult, Status
from fixbot.detectors.finding import Finding
from fixbot.detectors.project import discover
from fixbot.detectors.scan import Options, scan
from fixbot.patchers.difference import unified
from fixbot.patchers.patch import Patch, apply_patches
from fixbot.patchers.propose import propose

QUICK = Manners(gap=0, backoff=(0, 0))
SOUND = "import wave\n\n\ndef length(path):\n    with wave.open(path) as sound:\n        return sound.getnframes()\n"
FILES = {
    "sound.py": SOUND.removeprefix("import wave\n\n\n"),
    "fetch.py": "import requests\n\n\ndef page(url):\n    return requests.get(url).text\n",
    "scratch.py": "import tempfile\n\n\ndef place():\n    return tempfile.mktemp()\n",
    "clock.py": "from datetime import datetime\n\n\ndef now():\n    return datetime.utcnow()\n",
    "tests/test_sound.py": "def test_nothing():\n    assert True\n",
    "requirements.txt": "requests\n",
}
VERDICT = {
    "grade": "verified",
    "reason": "",
    "tests_before": 3,
    "tests_after": 3,
    "newly_failing": [],
    "newly_passing": [],
    "flaky": [],
    "changed_lines_covered": {"executed": 1, "changed": 1},
    "executed_by": ["tests/test_sound.py::test_nothing"],
    "finding_gone": True,
    "proof_test": None,
}


Found = tuple[list[Finding], Mapping[str, Patch], tuple[str, ...]]
_found: dict[tuple[str, Sequence[str]], Found] = {}


def found(root: Path, select: Sequence[str] = ()) -> Found:
    """The findings in a checkout, the patches that codemods make for them, and the rules that looked; of the same files once."""
    key = git(root, "rev-parse", "HEAD^{tree}"), tuple(select)
    if key not in _found:
        listed = scan(discover(root, ws.list_files(root) or []), Options(select=tuple(select)))
        made = {one.finding: one.patch for one in propose(listed.findings, root) if one.patch}
        _found[key] = list(listed.findings), made, listed.rules
    return _found[key]


def outcome(finding: Finding, patch: Patch | None, root: Path) -> Outcome:
    """A finding that is fixed where there is a patch."""
    if patch is None:
        return Outcome(finding, Status.NEEDS_MODEL, "no codemod fixes it")
    before = {path: (root / path).read_bytes() for path in patch.bases}
    diff = "".join(unified(path, before[path], data) for path, data in apply_patches([patch], before).items())
    data = patch.to_json()
    shown = {key: data[key] for key in ("origin", "safety", "bases", "edits")} | {"diff": diff, "model": None}
    return Outcome(finding, Status.FIXED, "", shown, VERDICT, "0" * 40)


@dataclass
class Case:
    """A checkout of what the forge has, and deliveries from it."""

    rig: Rig[Hub]
    checkout: Path
    state: Path
    settings: Settings = field(default_factory=lambda: Settings.model_validate({}))
    runs: int = 0

    def pull(self) -> str:
        """Bring the checkout to the forge's main branch; its commit."""
        git(self.checkout, "fetch", "--quiet", str(self.rig.bare.path), "main")
        git(self.checkout, "reset", "--quiet", "--hard", "FETCH_HEAD")
        return git(self.checkout, "rev-parse", "HEAD")

    def run(self, select: Sequence[str] = (), **changes: Any) -> RunResult:
        """A run over the forge's main branch."""
        base = self.pull()
        findings, patches, rules = found(self.checkout, select)
        self.runs += 1
        made = RunResult(
            run=f"20261124-{self.runs:06d}",
            repository=str(self.checkout),
            base=base,
            branch=None,
            tip=None,
            outcomes=tuple(outcome(one, patches.get(one.fingerprint), self.checkout) for one in findings),
            files=5,
            clean_files=1,
            tests={"passed": 3, "failed": 0, "flaky": [], "problem": ""},
            suite_runs=3,
            sandbox="bubblewrap",
            rules=rules,
            whole=True,
        )
        return replace(made, **changes)

    def deliver(self, result: RunResult | None = None, **settings: Any) -> Delivery:
        """Deliver a run, a new one unless it is given."""
        rig = self.rig
        forge = open_github(rig.name, rig.token, "fixbot/0", api=rig.api, server=rig.server, manners=QUICK)
        chosen = self.settings.model_copy(update=settings)
        return deliver(result or self.run(), chosen, forge, self.checkout, self.state, lambda event: None, waits=(0, 0))


def check_out(bare: Path, folder: Path) -> Path:
    """A checkout as a person has it."""
    subprocess.run(["git", "clone", "--quiet", str(bare), str(folder)], check=True, capture_output=True)
    return folder
