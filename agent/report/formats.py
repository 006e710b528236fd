"""Findings in the formats that other tools read: one line each, JSON, JSON lines, GitHub annotations, JUnit XML."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from fixbot.agent.report.text import clean, inert, line
from fixbot.agent.result import FORMAT_VERSION
from fixbot.detectors.finding import Finding, Severity
from fixbot.detectors.scan import Scan

_GITHUB_LEVEL = {Severity.CRITICAL: "error", Severity.HIGH: "error", Severity.MEDIUM: "warning", Severity.LOW: "notice"}


def check_json(found: Scan) -> dict[str, Any]:
    """The public JSON form of ``fixbot check``."""

    def shown(finding: Finding) -> dict[str, Any]:
        decision = found.decided.get(finding.fingerprint)
        return finding.to_json() | ({"decision": decision} if decision else {})

    return {
        "version": FORMAT_VERSION,
        "root": ".",
        "files_scanned": len(found.files),
        "files_clean": found.clean_files,
        "files_skipped": [{"path": entry.path, "reason": entry.reason} for entry in found.skipped],
        "findings": [shown(finding) for finding in found.findings],
        "suppressed": [shown(finding) for finding in found.suppressed],
        "reports": [report.to_json() for report in found.reports],
    }


def dumps(data: Any, *, indent: int | None = 2) -> str:
    """JSON text that any terminal, parser and log takes: ASCII only, lone surrogates escaped, no workflow command in it."""
    return json.dumps(data, indent=indent).replace("##[", "#\\u0023[")


def concise(findings: Sequence[Finding]) -> Iterator[str]:
    """``path:line:column: severity rule message``, a line each."""
    for one in findings:
        yield inert(f"{line(one.path)}:{one.span.line}:{one.span.column}: {one.severity.value} {line(one.rule)} {line(one.message)}")


def json_lines(findings: Sequence[Finding]) -> Iterator[str]:
    """A JSON object a line."""
    for one in findings:
        yield dumps(one.to_json(), indent=None)


def github(findings: Sequence[Finding]) -> Iterator[str]:
    """Workflow commands that GitHub shows as annotations, the worst first: it takes ten of a level from a step."""
    for one in sorted(findings, key=lambda one: one.severity.rank):
        place = {
            "file": line(one.path),
            "line": str(one.span.line),
            "endLine": str(one.span.end_line),
            "col": str(one.span.column),
            "endColumn": str(one.span.end_column),
            "title": f"fixbot {line(one.rule)}",
        }
        if one.span.end_line != one.span.line:
            del place["col"], place["endColumn"]
        properties = ",".join(f"{name}={_github_escape(value, ':,')}" for name, value in place.items())
        yield f"::{_GITHUB_LEVEL[one.severity]} {properties}::{_github_escape(line(one.message))}"


def _github_escape(text: str, more: str = "") -> str:
    for sign in "%\r\n" + more:
        text = text.replace(sign, f"%{ord(sign):02X}")
    return text


def junit(findings: Sequence[Finding], files: Sequence[str]) -> str:
    """JUnit XML: a test case for each file, a failure for each finding in it."""
    from xml.sax.saxutils import escape, quoteattr

    by_path: dict[str, list[Finding]] = {path: [] for path in files}
    for one in findings:
        by_path.setdefault(one.path, []).append(one)
    rows = [f'<testsuites><testsuite name="fixbot" tests="{len(by_path)}" failures="{sum(map(bool, by_path.values()))}">']
    for path, entries in by_path.items():
        rows.append(f'<testcase classname="fixbot" name={quoteattr(_xml(path))}>')
        for one in entries:
            text = f"{one.path}:{one.span.line}:{one.span.column}: {one.message}"
            shown = escape(_xml(text), {"\n": "&#10;"})
            rows.append(f"<failure type={quoteattr(_xml(one.rule))} message={quoteattr(_xml(one.message))}>{shown}</failure>")
        rows.append("</testcase>")
    text = "\n".join(['<?xml version="1.0" encoding="utf-8"?>', *rows, "</testsuite></testsuites>"])
    return inert(text, "&#58;", "&#35;")


def _xml(text: str) -> str:
    return clean(text).encode("utf-8", "replace").decode()
