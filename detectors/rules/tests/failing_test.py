"""A test of the repository's own suite that fails."""

from __future__ import annotations

from fixbot.detectors.finding import Severity
from fixbot.detectors.registry import External

RULE = External(Severity.HIGH)
