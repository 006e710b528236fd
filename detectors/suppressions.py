"""``# fixbot: ignore[rule] reason`` on a line or the line before, ``# fixbot: ignore-file[rule] reason`` anywhere in a file."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from fixbot.detectors.finding import NO_FIX, Finding, Severity, Span, with_fingerprints
from fixbot.detectors.source import SkippedFile, SourceFile

UNUSED = "unused-suppression"
_MARK = b"fixbot:"
_COMMENT = re.compile(r"#\s*fixbot:\s*(?P<kind>ignore-file|ignore)\[(?P<rules>[^\]]*)\]")


@dataclass(frozen=True, slots=True)
class Suppression:
    """A comment that mutes rules on some lines; ``lines`` is None for the whole file."""

    span: Span
    rules: tuple[str, ...]
    lines: tuple[int, ...] | None

    def covers(self, finding: Finding) -> bool:
        """Whether the finding is muted by this comment."""
        return finding.rule in self.rules and (self.lines is None or finding.span.line in self.lines)


def suppressions(source: SourceFile) -> Iterator[Suppression]:
    """The suppression comments of a file; text inside strings does not count."""
    if _MARK not in source.data:
        return
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(source.text).readline))
    except (tokenize.TokenError, SyntaxError, SkippedFile):
        return
    for token in tokens:
        match = _COMMENT.search(token.string) if token.type == tokenize.COMMENT else None
        if match is None:
            continue
        line, column = token.start
        names = tuple(name.strip() for name in match["rules"].split(",") if name.strip())
        span = Span(line, column + 1 + match.start(), line, column + 1 + len(token.string))
        if match["kind"] == "ignore-file":
            yield Suppression(span, names, None)
        elif token.line[:column].strip():
            yield Suppression(span, names, (line,))
        else:
            yield Suppression(span, names, (line, line + 1))


def apply_suppressions(
    findings: Iterable[Finding], by_path: dict[str, list[Suppression]], ran: frozenset[str]
) -> tuple[list[Finding], list[Finding]]:
    """Split into (kept, muted). Suppressions that mute nothing become findings of ``unused-suppression`` when their rules have run."""
    kept: list[Finding] = []
    muted: list[Finding] = []
    used: set[tuple[str, Suppression, str]] = set()
    for finding in findings:
        covering = [one for one in by_path.get(finding.path, ()) if one.covers(finding)]
        used.update((finding.path, one, finding.rule) for one in covering)
        (muted if covering else kept).append(finding)
    if UNUSED in ran:
        kept.extend(with_fingerprints(_unused(by_path, used, ran)))
    return kept, muted


def _unused(by_path: dict[str, list[Suppression]], used: set[tuple[str, Suppression, str]], ran: frozenset[str]) -> Iterator[Finding]:
    from fixbot.detectors.registry import all_rules

    for path, entries in by_path.items():
        for entry in entries:
            for name in entry.rules:
                unknown = name not in all_rules()
                if unknown or (name in ran and (path, entry, name) not in used):
                    message = f"suppression of `{name}`, which is no rule" if unknown else f"suppression of `{name}` mutes nothing"
                    yield Finding(UNUSED, Severity.LOW, path, entry.span, message, key=name, fix=NO_FIX)
