"""Patches for findings. Codemods run in a process of their own: a parser that crashes on hostile code takes only itself down."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fixbot.detectors.finding import Finding, FixKind
from fixbot.patchers.patch import Origin, Patch, blob_id, patch_from_json

log = logging.getLogger(__name__)
SECONDS_PER_FINDING = 60


@dataclass(frozen=True, slots=True)
class Proposal:
    """What became of a finding: a patch, or the reason why there is none."""

    finding: str
    patch: Patch | None = None
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """A JSON object that ``from_json`` reads back."""
        return {"finding": self.finding, "patch": self.patch.to_json() if self.patch else None, "reason": self.reason}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Proposal:
        """The inverse of ``to_json``."""
        return cls(data["finding"], patch_from_json(data["patch"]) if data["patch"] else None, data["reason"])


def make_patch(finding: Finding, root: Path) -> Patch:
    """Run the rule's codemod here. Raises Abstain."""
    from fixbot.patchers.codemod import Abstain, Tree, find_codemod

    fix = find_codemod(finding.rule)
    if fix is None:
        raise Abstain(f"there is no codemod for {finding.rule}")
    tree = Tree(root)
    edits = tuple(fix(finding, tree))
    bases = {path: blob_id(tree.read(path)) for path in sorted({edit.path for edit in edits})}
    return Patch(finding.fingerprint, finding.rule, Origin.CODEMOD, finding.fix.safety, bases, edits)


def propose(findings: Sequence[Finding], root: Path) -> Iterator[Proposal]:
    """A proposal for each finding, in their order. Findings that no codemod can fix are answered at once."""
    pending: list[Finding] = [finding for finding in findings if finding.fix.kind is FixKind.CODEMOD]
    answers: dict[str, Proposal] = {}
    while pending:
        answered = list(_run_worker(pending, root))
        answers.update((answer.finding, answer) for answer in answered)
        pending = [finding for finding in pending if finding.fingerprint not in answers]
    for finding in findings:
        yield answers.get(finding.fingerprint) or Proposal(finding.fingerprint, reason="needs a model")


def _run_worker(findings: Sequence[Finding], root: Path) -> Iterator[Proposal]:
    """The answers of one worker; where it dies, the finding that it was at is answered with that."""
    job = json.dumps({"root": str(root), "findings": [finding.to_json() for finding in findings]})
    command = [sys.executable, "-P", "-m", "fixbot.patchers.worker"]
    seconds = SECONDS_PER_FINDING * (len(findings) + 1)
    try:
        done = subprocess.run(command, input=job.encode(), capture_output=True, timeout=seconds, check=False, cwd="/")
        output, cause = done.stdout, f"exit code {done.returncode}"
        if done.stderr:
            log.debug("codemod worker: %s", done.stderr.decode("utf-8", "replace")[-2000:])
    except subprocess.TimeoutExpired as error:
        output, cause = error.stdout or b"", "it took too long"
    current = findings[0].fingerprint
    ended: set[str] = set()
    for line in output.splitlines():
        answer: dict[str, Any] = json.loads(line)
        current = answer["finding"]
        if "started" not in answer:
            ended.add(current)
            patch = patch_from_json(answer["patch"]) if "patch" in answer else None
            yield Proposal(current, patch, answer.get("abstained", ""))
    if len(ended) < len(findings):
        if current in ended:
            current = next(finding.fingerprint for finding in findings if finding.fingerprint not in ended)
        yield Proposal(current, reason=f"the codemod could not be run on this file ({cause})")
