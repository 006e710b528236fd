"""SARIF 2.1.0 out (GitHub code scanning reads it) and in (findings of other tools)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote, unquote

from fixbot.agent.errors import UsageError
from fixbot.agent.report.text import clean
from fixbot.detectors.finding import NO_FIX, Finding, Fix, FixKind, Severity, Span
from fixbot.detectors.registry import all_rules

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
MAX_RESULTS = 25_000  # GitHub's limit for one run
_LEVEL = {Severity.CRITICAL: "error", Severity.HIGH: "error", Severity.MEDIUM: "warning", Severity.LOW: "note"}
_SCORE = {Severity.CRITICAL: "9.0", Severity.HIGH: "7.0", Severity.MEDIUM: "5.0", Severity.LOW: "2.0"}
_SEVERITY = {"error": Severity.HIGH, "warning": Severity.MEDIUM, "note": Severity.LOW}


def sarif(findings: Sequence[Finding]) -> dict[str, Any]:
    """One SARIF log with one run. Columns count code points; paths are relative to ``%SRCROOT%``."""
    used = sorted({one.rule for one in findings})
    index = {rule: number for number, rule in enumerate(used)}
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "fixbot", "semanticVersion": version("fixbot"), "rules": [_rule(name) for name in used]}},
                "columnKind": "unicodeCodePoints",
                "originalUriBaseIds": {"%SRCROOT%": {"description": {"text": "The root of the repository."}}},
                "results": [_result(one, index[one.rule]) for one in findings[:MAX_RESULTS]],
            }
        ],
    }


def _rule(name: str) -> dict[str, Any]:
    known = all_rules().get(name)
    summary = f"{known.summary}." if known else "A suppression comment mutes nothing."
    page = known.page.read_text("utf-8") if known else summary
    severity = known.severity if known else Severity.LOW
    return {
        "id": name,
        "name": "".join(part.capitalize() for part in name.split("-")),
        "shortDescription": {"text": summary},
        "fullDescription": {"text": summary},
        "help": {"text": page, "markdown": page},
        "defaultConfiguration": {"level": _LEVEL[severity]},
        "properties": {
            "precision": "high",
            "problem.severity": _LEVEL[severity].replace("note", "recommendation"),
            "tags": [known.group if known else "suppressions"],
        },
    }


def _result(one: Finding, index: int) -> dict[str, Any]:
    return {
        "ruleId": one.rule,
        "ruleIndex": index,
        "level": _LEVEL[one.severity],
        "message": {"text": clean(one.message) + "."},
        "locations": [{"physicalLocation": _location(one.path, one.span)}],
        "relatedLocations": [
            {
                "id": number,
                "physicalLocation": _location(place.path, Span(place.line, 1, place.line, 1)),
                "message": {"text": clean(place.message)},
            }
            for number, place in enumerate(one.related)
        ],
        "partialFingerprints": {"primaryLocationLineHash": one.fingerprint, "fixbot/v1": one.fingerprint},
        "properties": {"security-severity": _SCORE[one.severity], "fix": one.fix.kind.value},
    }


def _location(path: str, span: Span) -> dict[str, Any]:
    region = {"startLine": span.line, "startColumn": span.column, "endLine": span.end_line, "endColumn": span.end_column}
    uri = quote(path.encode("utf-8", "surrogateescape"))
    return {"artifactLocation": {"uri": uri, "uriBaseId": "%SRCROOT%"}, "region": region}


def read_sarif(path: Path) -> Iterator[Finding]:
    """The results of a SARIF file as findings (rule ``<tool>/<rule>``, fixed by a model at best). Raises UsageError.

    Results without a place inside the repository are left out.
    """
    try:
        data = json.loads(path.read_bytes())
        for run in data["runs"]:
            tool = str(run["tool"]["driver"]["name"]).lower().replace(" ", "-")
            for result in run.get("results") or ():
                finding = _finding(result, tool)
                if finding is not None:
                    yield finding
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} is not a SARIF 2.1.0 file: {type(error).__name__}: {error}") from None


def _finding(result: dict[str, Any], tool: str) -> Finding | None:
    places = result.get("locations") or ()
    if not places or "physicalLocation" not in places[0]:
        return None
    physical = places[0]["physicalLocation"]
    where = PurePosixPath(unquote(str(physical["artifactLocation"]["uri"])))
    region: dict[str, Any] = physical.get("region") or {}
    if where.is_absolute() or ".." in where.parts or ":" in where.parts[0] or "startLine" not in region:
        return None
    line, column = int(region["startLine"]), int(region.get("startColumn", 1))
    span = Span(line, column, int(region.get("endLine", line)), int(region.get("endColumn", column)))
    severity = _SEVERITY.get(str(result.get("level", "warning")), Severity.LOW)
    rule = f"{tool}/{result.get('ruleId') or 'unnamed'}"
    message = str(result["message"].get("text") or result["message"].get("id") or rule)
    fix = Fix(FixKind.MODEL) if str(where).endswith(".py") else NO_FIX
    return Finding(rule, severity, str(where), span, message, key=message, fix=fix, source=tool)
