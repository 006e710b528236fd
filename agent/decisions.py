"""What people decided about findings, in a review or by a pull request; it holds for later runs as long as the code is the same."""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from fixbot.detectors.finding import Finding, Span
from fixbot.detectors.scan import Scan
from fixbot.detectors.source import SkippedFile, SourceFile, substatements

_LINE_END = re.compile(rb"\r\n|\r|\n")
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class Kind(StrEnum):
    """What was decided. ``declined``: the fix's pull request was closed without being merged; it counts as a wrong fix."""

    ACCEPTED = "accepted"
    FALSE_POSITIVE = "false-positive"
    WRONG_FIX = "wrong-fix"
    LATER = "later"
    DECLINED = "declined"


_AGAINST = (Kind.FALSE_POSITIVE, Kind.WRONG_FIX, Kind.DECLINED)


class Source(StrEnum):
    """Where it was decided."""

    REVIEW = "review"
    PULL_REQUEST = "pull-request"


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision about a finding of a repository (its path). ``code`` is ``code_of`` the finding, ``when`` seconds since 1970."""

    repository: str
    fingerprint: str
    kind: Kind
    rule: str
    code: str
    reason: str = ""
    when: int = 0
    source: Source = Source.REVIEW

    @property
    def rejects(self) -> bool:
        """Whether it speaks against the finding or its fix."""
        return self.kind in _AGAINST

    @property
    def words(self) -> str:
        """``rejected in review: REASON``, for reports."""
        if self.source is Source.PULL_REQUEST:
            told = "its pull request was closed" if self.kind is Kind.DECLINED else f"{self.kind.value} by pull request"
        else:
            told = "rejected in review" if self.kind in (Kind.FALSE_POSITIVE, Kind.WRONG_FIX) else f"{self.kind.value} in review"
        return f"{told}: {self.reason}" if self.reason else told


def code_of(finding: Finding, data: bytes) -> str:
    """A hash of the code that a finding is about, given its file: the function around it, else its outermost statement, else its lines.

    Indentation, blank lines and lines that are only a comment do not count.
    """
    return _code(SourceFile(finding.path, data), finding.span)


def _code(source: SourceFile, span: Span) -> str:
    first, last = _place(source, span)
    rows = (b" ".join(row.split()) for row in _LINE_END.split(source.data)[first - 1 : last])
    text = b"\n".join(row for row in rows if row and not row.startswith(b"#"))
    return hashlib.blake2b(text, digest_size=16).hexdigest()


def _place(source: SourceFile, span: Span) -> tuple[int, int]:
    if not source.path.endswith((".py", ".pyw")):
        return span.line, span.end_line
    try:
        around = list(_around(source.tree, span))
    except SkippedFile:
        return span.line, span.end_line
    inner = [node for node in around if isinstance(node, _FUNCTIONS)]
    outer = [node for node in around if not isinstance(node, ast.ClassDef)]
    best = inner[-1] if inner else outer[0] if outer else None
    return _lines(best) if best else (span.line, span.end_line)


def _around(tree: ast.Module, span: Span) -> Iterator[ast.stmt]:
    """The statements that hold a stretch of text, from the outermost inwards."""
    here: Iterable[ast.stmt] = tree.body
    while (found := next((node for node in here if _holds(node, span)), None)) is not None:
        yield found
        here = substatements(found)


def _holds(node: ast.stmt, span: Span) -> bool:
    first, last = _lines(node)
    return first <= span.line and span.end_line <= last


def _lines(node: ast.stmt) -> tuple[int, int]:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(one.lineno for one in decorators)]), node.end_lineno or node.lineno


def in_force(findings: Iterable[Finding], decisions: Iterable[Decision], read: Callable[[str], bytes]) -> dict[str, Decision]:
    """The decisions that still hold, by fingerprint: those about code that is as it was. ``read`` gives a file or raises OSError."""
    known: dict[str, dict[str, Decision]] = {}
    for one in decisions:
        known.setdefault(one.fingerprint, {})[one.code] = one
    held: dict[str, Decision] = {}
    sources: dict[str, SourceFile] = {}
    for finding in findings:
        if finding.fingerprint in known:
            try:
                source = sources.setdefault(finding.path, sources.get(finding.path) or SourceFile(finding.path, read(finding.path)))
            except OSError:
                continue
            code = _code(source, finding.span)
            if code in known[finding.fingerprint]:
                held[finding.fingerprint] = known[finding.fingerprint][code]
    return held


def honour(found: Scan, held: Mapping[str, Decision]) -> Scan:
    """The scan with the false positives among those that are muted, and with what was decided against findings and fixes in words."""
    decided = {fingerprint: one.words for fingerprint, one in held.items() if one.rejects}
    wrong = {fingerprint for fingerprint, one in held.items() if one.kind is Kind.FALSE_POSITIVE}
    muted = tuple(finding for finding in found.findings if finding.fingerprint in wrong)
    kept = tuple(finding for finding in found.findings if finding.fingerprint not in wrong)
    return replace(found, findings=kept, suppressed=(*found.suppressed, *muted), decided=decided)


@dataclass(frozen=True, slots=True)
class Figures:
    """How the findings of a rule were judged. Closed pull requests count as wrong fixes."""

    accepted: int = 0
    false_positives: int = 0
    wrong_fixes: int = 0

    @property
    def decided(self) -> int:
        """All of them."""
        return self.accepted + self.false_positives + self.wrong_fixes

    @property
    def precision(self) -> float | None:
        """The share of decided findings that are no false positives; None where nothing was decided."""
        return 1 - self.false_positives / self.decided if self.decided else None


def figures(decisions: Iterable[Decision]) -> dict[str, Figures]:
    """The figures of each rule that something was decided about."""
    found: dict[str, Figures] = {}
    for one in decisions:
        had = found.get(one.rule, Figures())
        match one.kind:
            case Kind.ACCEPTED:
                found[one.rule] = replace(had, accepted=had.accepted + 1)
            case Kind.FALSE_POSITIVE:
                found[one.rule] = replace(had, false_positives=had.false_positives + 1)
            case Kind.WRONG_FIX | Kind.DECLINED:
                found[one.rule] = replace(had, wrong_fixes=had.wrong_fixes + 1)
            case Kind.LATER:
                pass
    return found
