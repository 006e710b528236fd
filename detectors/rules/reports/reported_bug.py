"""A bug that a report given with --bug-report describes."""

from __future__ import annotations

from fixbot.detectors.finding import Severity
from fixbot.detectors.registry import External

RULE = External(Severity.MEDIUM)
