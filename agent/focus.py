"""What the findings of a check or a run are narrowed to, and the results of other tools that join them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fixbot.agent import workspace as ws
from fixbot.agent.errors import UsageError
from fixbot.agent.report.sarif import read_sarif
from fixbot.detectors.finding import Finding, with_fingerprints
from fixbot.detectors.scan import Options, Scan, wanted

Lines = Mapping[str, Sequence[tuple[int, int]]]
"""Ranges of lines, 1-based with both ends, by path."""


@dataclass(frozen=True, slots=True)
class Focus:
    """``known`` are fingerprints that are not reported again; ``changed_since`` is a revision; ``extra`` are other tools' results."""

    known: frozenset[str] = frozenset()
    changed_since: str | None = None
    extra: tuple[Finding, ...] = ()

    def to_json(self) -> Any:
        """What tells two runs apart; a default focus is None."""
        if self == NO_FOCUS:
            return None
        return [sorted(self.known), self.changed_since, hashlib.sha256(repr(self.extra).encode("utf-8", "replace")).hexdigest()]


NO_FOCUS = Focus()


def load_focus(changed_since: str | None, baseline: Path | None, sarif: Sequence[Path]) -> Focus:
    """Read what the options name. Raises UsageError for a file that is not what it should be."""
    known = _fingerprints(baseline) if baseline else frozenset[str]()
    return Focus(known, changed_since, tuple(with_fingerprints(one for path in sarif for one in read_sarif(path))))


def with_extra(found: Scan, focus: Focus, options: Options) -> Scan:
    """The scan and the other tools' results, as far as ``options`` want them."""
    more = [one for one in focus.extra if wanted(one, options)]
    return (
        replace(found, findings=tuple(sorted((*found.findings, *more), key=lambda one: (one.path, one.span, one.rule)))) if more else found
    )


def changed_below(root: Path, revision: str) -> Lines:
    """Lines of the work tree that differ from a revision, by path relative to ``root``. Raises FixbotError."""
    prefix = root.relative_to(ws.locate(root)).as_posix().removeprefix(".")
    start = f"{prefix}/" if prefix else ""
    return {path.removeprefix(start): lines for path, lines in ws.changed_lines(root, revision).items() if path.startswith(start)}


def _fingerprints(path: Path) -> frozenset[str]:
    try:
        return frozenset(str(entry["fingerprint"]) for entry in json.loads(path.read_bytes())["findings"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"the baseline {path} is no JSON report of fixbot: {type(error).__name__}: {error}",
            f"make one: fixbot check --output-format json --output-file {path}",
        ) from None
