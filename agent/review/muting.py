"""What mutes a false positive: a comment in the code, or an entry in a baseline file."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable
from typing import Any

from fixbot.agent.errors import UsageError
from fixbot.agent.report.text import line
from fixbot.detectors.finding import Finding, Safety
from fixbot.detectors.source import SkippedFile, SourceFile
from fixbot.detectors.suppressions import suppressions
from fixbot.patchers.patch import Edit, Origin, Patch, apply_edits, blob_id

BASELINE = "fixbot-baseline.json"
"""The file at the top of the repository that rejected findings are added to; ``--baseline`` reads it."""

_LINE = re.compile(rb"[^\r\n]*(?:\r\n|\r|\n|\Z)")


def comment(finding: Finding, data: bytes, reason: str) -> Patch:
    """A patch that adds a suppression comment on the line before the finding, or at its line's end. Raises UsageError for no such place."""
    source = SourceFile(finding.path, data)
    words = f"# fixbot: ignore[{finding.rule}] {line(' '.join(reason.split()))}".rstrip()
    rows = [match for match in _LINE.finditer(data) if match[0]]
    if finding.path.endswith((".py", ".pyw")) and finding.span.line <= len(rows):
        row = rows[finding.span.line - 1]
        text = row[0].rstrip(b"\r\n")
        end = row[0][len(text) :] or b"\n"
        indent = text[: len(text) - len(text.lstrip())]
        try:
            encoded = words.encode(source.encoding.removesuffix("-sig"))
        except (SkippedFile, UnicodeEncodeError):
            encoded = words.encode("ascii", "replace")
        own_line = Edit(finding.path, row.start(), row.start(), (indent + encoded + end).decode("latin-1"))
        place = row.start() + len(text)
        at_end = Edit(finding.path, place, place, (b"  " + encoded).decode("latin-1"))
        for edit, shift in ((own_line, 1), (at_end, 0)):
            if _mutes(source, edit, finding, shift):
                return Patch(finding.fingerprint, finding.rule, Origin.PERSON, Safety.SAFE, {finding.path: blob_id(data)}, (edit,))
    raise UsageError(f"{finding.path}:{finding.span.line} has no place for a comment", "use the baseline file, or only remember it")


def _mutes(source: SourceFile, edit: Edit, finding: Finding, shift: int) -> bool:
    """Whether an edit mutes the finding, and nothing else of the file changes its meaning."""
    after = SourceFile(source.path, apply_edits(source.data, [edit]))
    try:
        if ast.dump(after.tree) != ast.dump(source.tree):
            return False
    except SkippedFile:
        return False
    known, now = _muted(source, finding.span.line), _muted(after, finding.span.line + shift)
    return now >= known | {finding.rule}


def _muted(source: SourceFile, number: int) -> set[str]:
    return {rule for one in suppressions(source) if one.lines is None or number in one.lines for rule in one.rules}


def baseline(findings: Iterable[Finding], old: bytes | None) -> bytes:
    """A baseline file with some findings more. Raises UsageError for one that is none."""
    try:
        report: dict[str, Any] = {"version": 1, "findings": []} if old is None else json.loads(old)
        entries: list[dict[str, Any]] = report["findings"]
        known = {str(entry["fingerprint"]) for entry in entries}
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{BASELINE} is no JSON report of fixbot: {error}", "mend or remove it") from None
    entries += [
        {"rule": one.rule, "path": one.path, "line": one.span.line, "message": one.message, "fingerprint": one.fingerprint}
        for one in findings
        if one.fingerprint not in known
    ]
    return (json.dumps(report, indent=2) + "\n").encode()
