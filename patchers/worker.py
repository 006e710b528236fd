"""The process in which codemods run: a JSON job on standard input, a JSON line an answer on standard output."""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path
from typing import Any

from fixbot.detectors.finding import finding_from_json
from fixbot.patchers.codemod import Abstain
from fixbot.patchers.propose import SECONDS_PER_FINDING, make_patch

_MEMORY = 2 * 1024**3


def main() -> None:
    """Answer each finding of the job; memory and processor time are bounded, so that hostile code ends only this process."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    job = json.load(sys.stdin)
    findings = [finding_from_json(entry) for entry in job["findings"]]
    used, (_, hard) = 0, resource.getrlimit(resource.RLIMIT_CPU)
    for finding in findings:
        used += SECONDS_PER_FINDING
        resource.setrlimit(resource.RLIMIT_CPU, (used, hard))
        _answer({"finding": finding.fingerprint, "started": True})
        try:
            _answer({"finding": finding.fingerprint, "patch": make_patch(finding, Path(job["root"])).to_json()})
        except Abstain as reason:
            _answer({"finding": finding.fingerprint, "abstained": str(reason)})
        except (RecursionError, MemoryError):
            _answer({"finding": finding.fingerprint, "abstained": "the file is too large or nested too deeply for libcst"})


def _answer(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
