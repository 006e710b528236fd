"""A SARIF log as GitHub's code scanning takes it."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping
from typing import Any

from fixbot.agent.errors import ForgeError

SIZE = 10_000_000  # bytes, compressed: GitHub's limits
RUNS, RESULTS = 20, 25_000


def pack(sarif: Mapping[str, Any]) -> str:
    """The log compressed and in base64. Raises ForgeError where it is larger than GitHub takes."""
    runs = list(sarif["runs"])
    results = max((len(run.get("results", ())) for run in runs), default=0)
    data = gzip.compress(json.dumps(sarif, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace"), mtime=0)
    if len(runs) > RUNS or results > RESULTS or len(data) > SIZE:
        raise ForgeError(
            f"the SARIF log is too large for GitHub: {len(runs)} runs, {results:,} results in one, {len(data):,} bytes compressed",
            f"select fewer rules or folders: {RUNS} runs, {RESULTS:,} results in a run, {SIZE:,} bytes are possible",
        )
    return base64.b64encode(data).decode()
