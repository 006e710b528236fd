"""SARIF 2.1.0 out (GitHub code scanning reads it) and in (findings of other tools)."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote, unquote

from fixbot.agent.errors import UsageError
from fixbot.agent.report.text import clean, line
from fixbot.detectors.finding import NO_FIX, Finding, Fix, FixKind, Severity, Span
from fixbot.detectors.registry import all_rules
from fixbot.detectors.suppressions import UNUSED

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
MAX_RESULTS, MAX_PLACES = 25_000, 1_000  # what GitHub takes in a run, in a result
_LEVEL = {Severity.CRITICAL: "error", Severity.HIGH: "error", Severity.MEDIUM: "warning", Severity.LOW: "note"}
_SEVERITY = {"error": Severity.HIGH, "warning": Severity.MEDIUM, "note": Severity.LOW}


def sarif(findings: Sequence[Finding]) -> dict[str, Any]:
    """One SARIF log with one run. Columns count code points; paths are relative to ``%SRCROOT%``.

    Of more than ``MAX_RESULTS`` findings the worst are in it, and a notification says so.
    """
    kept = findings if len(findings) <= MAX_RESULTS else _worst(findings)
    used = sorted({one.rule for one in kept})
    index = {rule: number for number, rule in enumerate(used)}
    run = {
        "tool": {"driver": {"name": "fixbot", "semanticVersion": version("fixbot"), "rules": [_rule(name) for name in used]}},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {"%SRCROOT%": {"description": {"text": "The root of the repository."}}},
        "results": [_result(one, index[one.rule]) for one in kept],
    }
    if kept is not findings:
        text = f"Only the {MAX_RESULTS} worst of {len(findings)} findings are listed, as many as GitHub takes."
        notes = [{"level": "warning", "message": {"text": text}}]
        run["invocations"] = [{"executionSuccessful": True, "toolExecutionNotifications": notes}]
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _worst(findings: Sequence[Finding]) -> list[Finding]:
    """As many as fit into one run, in the order in which they came."""
    worst = sorted(range(len(findings)), key=lambda number: findings[number].severity.rank)[:MAX_RESULTS]
    return [findings[number] for number in sorted(worst)]


def _rule(name: str) -> dict[str, Any]:
    known = all_rules().get(name)
    if known:
        return _descriptor(name, f"{known.summary}.", known.page.read_text("utf-8"), known.severity, known.group)
    if name == UNUSED:
        return _descriptor(name, "A suppression comment mutes nothing.", "", Severity.LOW, "suppressions")
    tool = name.partition("/")[0]
    return _descriptor(name, f"Found by {tool}.", "", Severity.MEDIUM, tool)


def _descriptor(name: str, summary: str, page: str, severity: Severity, group: str) -> dict[str, Any]:
    return {
        "id": name,
        "name": "".join(part.capitalize() for part in re.split(r"[\W_]+", name)),
        "shortDescription": {"text": summary},
        "fullDescription": {"text": summary},
        "help": {"text": page or summary, "markdown": page or summary},
        "defaultConfiguration": {"level": _LEVEL[severity]},
        "properties": {
            "precision": "high",
            "problem.severity": _LEVEL[severity].replace("note", "recommendation"),
            "tags": [group],
        },
    }


def _result(one: Finding, index: int) -> dict[str, Any]:
    return {
        "ruleId": one.rule,
        "ruleIndex": index,
        "level": _LEVEL[one.severity],
        "message": {"text": _sentence(one.message)},
        "locations": [{"physicalLocation": _location(one.path, one.span)}],
        "relatedLocations": [
            {"id": number, "physicalLocation": _location(place.path, place.line), "message": {"text": _sentence(place.message)}}
            for number, place in enumerate(one.related[:MAX_PLACES])
        ],
        "partialFingerprints": {"primaryLocationLineHash": one.fingerprint, "fixbot/v1": one.fingerprint},
        "properties": {"severity": one.severity.value, "fix": one.fix.kind.value},
    }


def _sentence(text: str) -> str:
    """Plain text, its brackets escaped, which else would make links; hidden characters show as escapes."""
    return re.sub(r"([\[\]\\])", r"\\\1", clean(text).removesuffix(".")) + "."


def _location(path: str, where: Span | int) -> dict[str, Any]:
    """A place in a file; a number stands for a whole line."""
    region = {"startLine": where} if isinstance(where, int) else _region(where)
    uri = quote(path.encode("utf-8", "surrogateescape"))
    return {"artifactLocation": {"uri": uri, "uriBaseId": "%SRCROOT%"}, "region": region}


def _region(span: Span) -> dict[str, int]:
    return {"startLine": span.line, "startColumn": span.column, "endLine": span.end_line, "endColumn": span.end_column}


def read_sarif(path: Path) -> Iterator[Finding]:
    """The results of a SARIF file as findings (rule ``<tool>/<rule>``, fixed by a model at best). Raises UsageError.

    Results without a place inside the repository are left out.
    """
    try:
        data = json.loads(path.read_bytes())
        for run in data["runs"]:
            tool = line(str(run["tool"]["driver"]["name"])).lower().replace(" ", "-")
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
    where = PurePosixPath(unquote(str(physical["artifactLocation"]["uri"]), errors="surrogateescape"))
    region: dict[str, Any] = physical.get("region") or {}
    if not _inside(where) or "startLine" not in region:
        return None
    severity = _SEVERITY.get(str(result.get("level", "warning")), Severity.LOW)
    rule = line(f"{tool}/{result.get('ruleId') or 'unnamed'}")[:200]
    message = str(result["message"].get("text") or result["message"].get("id") or rule)
    message = re.sub(r"\\([\[\]\\])", r"\1", message)
    fix = Fix(FixKind.MODEL) if str(where).endswith(".py") else NO_FIX
    return Finding(rule, severity, str(where), _span(region), message, key=message, fix=fix, source=tool)


def _inside(where: PurePosixPath) -> bool:
    try:
        os.fsencode(where)
    except UnicodeEncodeError:
        return False
    return bool(where.parts) and not where.is_absolute() and ".." not in where.parts and ":" not in where.parts[0]


def _span(region: dict[str, Any]) -> Span:
    """The region, mended where its numbers make no sense. Raises ValueError and TypeError for what is no number."""
    first, column = max(1, int(region["startLine"])), max(1, int(region.get("startColumn", 1)))
    last = max(first, int(region.get("endLine", first)))
    end = max(1, int(region.get("endColumn", column)))
    return Span(first, column, last, max(column, end) if last == first else end)
