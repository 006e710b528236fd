"""The finding: what a detector saw, where, and what could fix it. Plain data that survives JSON."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

Json = Mapping[str, Any]


class Severity(StrEnum):
    """How bad the bug is for whoever runs the code."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"

    @property
    def rank(self) -> int:
        """0 for critical to 3 for low."""
        return list(Severity).index(self)


class FixKind(StrEnum):
    """What can fix a finding."""

    CODEMOD = "codemod"
    MODEL = "model"
    NONE = "none"


class Safety(StrEnum):
    """``safe``: the program's behaviour changes only where it was broken. ``unsafe``: it may change elsewhere, too."""

    SAFE = "safe"
    UNSAFE = "unsafe"


@dataclass(frozen=True, slots=True)
class Fix:
    """The fix that a rule offers for a finding."""

    kind: FixKind
    safety: Safety = Safety.UNSAFE


CODEMOD = Fix(FixKind.CODEMOD, Safety.SAFE)
UNSAFE_CODEMOD = Fix(FixKind.CODEMOD, Safety.UNSAFE)
MODEL = Fix(FixKind.MODEL)
NO_FIX = Fix(FixKind.NONE)


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A stretch of source text. Lines and columns are 1-based, columns count code points, the end column is exclusive."""

    line: int
    column: int
    end_line: int
    end_column: int


@dataclass(frozen=True, slots=True)
class Related:
    """Another place that explains a finding."""

    path: str
    line: int
    message: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One candidate bug. ``path`` is relative to the project's root with ``/``; ``facts`` is what the rule tells its codemod.

    ``key`` is the text that identifies the finding inside its scope; the fingerprint is made of rule, scope, key and the number of
    the same three before it, so it survives reformatting, moved lines and a renamed file. ``sources`` names everything that saw it,
    ``"fixbot"`` and ``"REPORT.md#BUG-A05"``, once something else than the detector took part; else it is empty.
    """

    rule: str
    severity: Severity
    path: str
    span: Span
    message: str
    scope: str = ""
    key: str = ""
    fingerprint: str = ""
    related: tuple[Related, ...] = ()
    fix: Fix = MODEL
    facts: Json = field(default_factory=dict[str, Any])
    source: str = "fixbot"
    sources: tuple[str, ...] = ()

    @property
    def tests(self) -> tuple[str, ...]:
        """The failing tests (pytest's node ids) that the finding stands for; a fix must make them pass."""
        return tuple(self.facts.get("tests", ()))

    def to_json(self) -> dict[str, Any]:
        """The finding as the public JSON form shows it (see README, "JSON"); ``sources`` only where there are any."""
        data: dict[str, Any] = {
            "rule": self.rule,
            "severity": self.severity.value,
            "path": self.path,
            "line": self.span.line,
            "column": self.span.column,
            "end_line": self.span.end_line,
            "end_column": self.span.end_column,
            "message": self.message,
            "scope": self.scope,
            "key": self.key,
            "fingerprint": self.fingerprint,
            "related": [{"path": r.path, "line": r.line, "message": r.message} for r in self.related],
            "fix": {"kind": self.fix.kind.value, "safety": self.fix.safety.value},
            "facts": dict(self.facts),
            "source": self.source,
        }
        return data | {"sources": list(self.sources)} if self.sources else data


@dataclass(frozen=True, slots=True)
class Refused:
    """An entry of a bug report for which there is no place in the project, and why; or a heading that is no bug (``heading_only``)."""

    id: str
    heading: str
    reason: str
    heading_only: bool = False


@dataclass(frozen=True, slots=True)
class ReadReport:
    """What became of a bug report: ``entries`` = ``placed`` + the number of ``refused``.

    ``partly`` are placed entries of which a further place was not found.
    """

    file: str
    entries: int
    placed: int
    refused: tuple[Refused, ...] = ()
    partly: tuple[Refused, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """``{"file", "entries", "placed", "refused": [{"id", "heading", "reason", "heading_only"}], "partly": [...]}``."""
        return asdict(self) | {"refused": [asdict(one) for one in self.refused], "partly": [asdict(one) for one in self.partly]}


def read_report_from_json(data: Json) -> ReadReport:
    """The inverse of ``ReadReport.to_json``. Raises KeyError or TypeError on data of another shape."""
    refused, partly = (tuple(Refused(**entry) for entry in data[name]) for name in ("refused", "partly"))
    return ReadReport(data["file"], data["entries"], data["placed"], refused, partly)


def finding_from_json(data: Json) -> Finding:
    """The inverse of ``Finding.to_json``. Raises KeyError or ValueError on data of another shape."""
    return Finding(
        rule=data["rule"],
        severity=Severity(data["severity"]),
        path=data["path"],
        span=Span(data["line"], data["column"], data["end_line"], data["end_column"]),
        message=data["message"],
        scope=data["scope"],
        key=data["key"],
        fingerprint=data["fingerprint"],
        related=tuple(Related(**entry) for entry in data["related"]),
        fix=Fix(FixKind(data["fix"]["kind"]), Safety(data["fix"]["safety"])),
        facts=data["facts"],
        source=data["source"],
        sources=tuple(data.get("sources", ())),
    )


def with_fingerprints(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Sort by place and give every finding its fingerprint, unique within the project."""
    seen: Counter[tuple[str, str, str]] = Counter()
    for finding in sorted(findings, key=lambda found: (found.path, found.span, found.rule, found.message)):
        identity = (finding.rule, finding.scope, finding.key)
        text = "\0".join((*identity, str(seen[identity])))
        seen[identity] += 1
        digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
        yield replace(finding, fingerprint=digest)
