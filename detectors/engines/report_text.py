"""What the lines of a bug report mean: mended text, labels, severities, ids, places, and which side of the bug quoted code shows."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from fixbot.detectors.finding import Severity

MAX_LINE = 2000
"""Characters of a line that are looked at; the rest of it is dropped, so that no pattern meets more."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place as a report states it: a path with ``/`` (not checked in any way) and lines, 0 where it gives none."""

    path: str
    line: int = 0
    end_line: int = 0


# Encoding


def mend(data: bytes) -> str:
    """A report's bytes as text: the encoding guessed, text that went through a wrong one restored, control characters dropped."""
    import ftfy

    try:
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        text = ftfy.guess_bytes(data)[0]
    keep = ftfy.TextFixerConfig(
        unescape_html=False, uncurl_quotes=False, fix_latin_ligatures=False, fix_character_width=False, explain=False, normalization=None
    )
    mended = re.sub(r"[^\x00-\x7f]{2,}", _symbols, ftfy.fix_text(text, keep))
    return "".join(sign for line in mended.splitlines(keepends=True) for sign in _harmless(line))


def _symbols(match: re.Match[str]) -> str:
    """UTF-8 symbols (a tick, a coloured dot) that were read in an old encoding and are too short for a statistical guess."""
    for codec in ("mac_roman", "cp1252"):
        try:
            text = match[0].encode(codec).decode("utf-8")
        except UnicodeError:
            continue
        if any(unicodedata.category(sign) == "So" for sign in text):
            return text
    return match[0]


def _harmless(line: str) -> Iterator[str]:
    body = line.rstrip("\r\n\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")[:MAX_LINE]
    yield from (sign for sign in body if sign == "\t" or (sign.isascii() and sign.isprintable()) or not _is_hidden(sign))
    yield "\n"


def _is_hidden(sign: str) -> bool:
    return unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") or sign in "\ufe0e\ufe0f"


def plain(text: str) -> str:
    """A line without emphasis, pictures and list marks; code marks stay."""
    text = re.sub(r"\*\*|__(?=\S)|(?<=\S)__(?!\w)|~~", "", text)
    text = re.sub(r"!?\[([^\]]{0,300})\]\([^)\s]{0,300}\)", r"\1", text)
    text = re.sub(r"^\s*(?:>\s*)*(?:[-*+•]\s+)?(?:\[[ xX]\]\s+)?", "", text)
    return " ".join("".join(sign for sign in text if sign.isascii() or unicodedata.category(sign) not in ("So", "Sk")).split())


# Labels


_LABEL = re.compile(r"^\W{0,6}(?P<label>[A-Za-z#][A-Za-z ()/_-]{0,40}?)\s*[`*]{0,2}\s*:(?![:/\\\d])\s*(?P<rest>.*)$")
_KINDS = {
    "severity": {"severity", "priority", "criticality"},
    "file": {"file", "files", "filename", "location", "locations", "path", "paths", "where", "filepath", "module", "modules"},
    "line": {"line", "lines", "lineno"},
    "id": {"id", "#", "no", "number"},
    "fix": {"fix", "fixes", "fixed", "solution", "solutions", "after", "better", "suggestion", "suggested", "recommendation", "recommended"}
    | {"expected", "proposed", "should", "resolution", "correct", "corrected", "good", "instead", "remedy", "patch", "use", "new"},
    "problem": {"issue", "issues", "problem", "description", "bug", "symptom", "symptoms", "before", "current", "currently", "actual"}
    | {
        "bad",
        "wrong",
        "buggy",
        "vulnerable",
        "evidence",
        "error",
        "code",
        "details",
        "title",
        "summary",
        "finding",
        "cause",
        "old",
        "what",
    },
    "impact": {"impact", "risk", "effect", "consequence"},
    "status": {"status", "state"},
}


def label(line: str) -> tuple[str, str]:
    """``("file", "a.py:3")`` for ``- **File:** a.py:3``; ``("", line)`` for a line that begins with no label that means anything."""
    match = _LABEL.match(plain(line))
    if match:
        kind = label_kind(match["label"])
        if kind:
            return kind, match["rest"].strip()
    return "", line


def label_kind(name: str) -> str:
    """What a label or a table's column is for, or "". ``Suggested fix`` is a fix, ``Files modified`` are files."""
    words = re.sub(r"\([^)]*\)", "", name).lower().replace("_", " ").replace("-", " ").replace("/", " ").split()
    if not words or len(words) > 4:
        return ""
    if words[0] == "instead":
        return "problem"
    return next((kind for kind, known in _KINDS.items() if not known.isdisjoint(words)), "")


_SIDE = re.compile(
    r"(?i)^\s*(?:#|//|--)+\W*(?:(?P<problem>before|bad|wrong|current|old|instead of|problem|issue|bug|buggy|❌)"
    r"|(?P<fix>after|good|correct|fix|fixed|new|use|should be|better|solution|✅))\b(?P<more>[^:]{0,40}):?(?P<rest>.*)$"
)


def sides(code: str, role: str) -> Iterator[tuple[str, str]]:
    """The parts of a code block as (role, code): comment lines like ``# Before`` and ``# Use:`` divide it."""
    part: list[str] = []
    for line in code.split("\n"):
        match = _SIDE.match(line[:200])
        if match and not match["more"].strip().startswith("="):
            if any(map(str.strip, part)):
                yield role, "\n".join(part)
            part = [match["rest"]] if match["rest"].strip() else []
            role = "problem" if match["problem"] else "fix"
        else:
            part.append(line)
    if any(map(str.strip, part)):
        yield role, "\n".join(part)


# Severity


_WORDS = {
    Severity.CRITICAL: ("critical", "blocker", "p0", "sev0", "fatal"),
    Severity.HIGH: ("high", "major", "p1", "sev1", "error", "important"),
    Severity.MEDIUM: ("medium", "moderate", "warning", "warnings", "p2", "sev2", "normal", "performance"),
    Severity.LOW: ("low", "minor", "info", "p3", "p4", "sev3", "trivial", "cosmetic", "nit", "informational", "suggestion"),
}
_BY_WORD = {word: severity for severity, words in _WORDS.items() for word in words}
_DOTS = {"🔴": Severity.CRITICAL, "🟠": Severity.HIGH, "🟡": Severity.MEDIUM, "🟢": Severity.LOW, "🔵": Severity.LOW, "⚪": Severity.LOW}


def severity_of(text: str) -> Severity | None:
    """The severity in a field's text: the first word that means one, else a coloured dot."""
    for word in re.findall(r"[a-z]+[0-9]?|non-\w+", text.lower()[:200].replace("non-critical", "low")):
        if word in _BY_WORD:
            return _BY_WORD[word]
    return next((severity for dot, severity in _DOTS.items() if dot in text), None)


_MARKED = re.compile(
    r"(?:[\[(]\s*|[-\u2013\u2014:|/]\s*)(?P<end>[A-Za-z]+[0-3]?)\b[^\w]{0,4}(?:[\])]|$|\W*[A-Z]{4,}$)|^\W*\[?(?P<start>[A-Za-z]+[0-3]?)\]?\s*[:\]|\u2013\u2014-]"
)


def heading_severity(heading: str) -> Severity | None:
    """The severity that a bug's heading names: in brackets, after a dash, before a colon, in capitals, as P0 to P3 or as a dot."""
    text = plain(heading)
    for match in _MARKED.finditer(text):
        word = (match["end"] or match["start"]).lower()
        if word in _BY_WORD:
            return _BY_WORD[word]
    for word in re.findall(r"\b(?:[A-Z]{3,}|P[0-4])\b", text):
        if word.lower() in _BY_WORD:
            return _BY_WORD[word.lower()]
    return next((severity for dot, severity in _DOTS.items() if dot in heading), None)


def group_severity(heading: str) -> Severity | None:
    """The severity that the heading of a group gives to what stands below it: ``Critical issues``, ``Medium priority``, ``P1``."""
    match = re.match(r"(?i)\W*(?:(?:found|other|all|the)\s+)?([a-z]+[0-4]?)\b", plain(heading))
    word = match[1].lower() if match else ""
    return _BY_WORD.get(word) or heading_severity(heading)


# Ids


_ID = re.compile(
    r"^\W*(?P<id>(?:bug|issue|finding|problem|error|defect)\s*[-#]?\s*[A-Z]?\d[\w.]*|[A-Z]{1,12}[-_][A-Z0-9_-]*\d[A-Za-z0-9]*|#?\d{1,4}(?:\.\d{1,4})*)"
    r"(?=[\s.:)\]\u2013\u2014-]|$)[.:)\]\s\u2013\u2014-]*",
    re.IGNORECASE,
)
_DONE = re.compile(r"\s*[-\u2013\u2014(\[]*\s*\b(?:FIXED|RESOLVED|IMPLEMENTED|ENHANCED|DONE|COMPLETED?|CLOSED)\b[)\]]*\s*$")
_LAST_WORD = re.compile(r"\s*[-\u2013\u2014(\[]+\s*(?P<word>[A-Za-z]+[0-3]?)[)\]]*\s*$")


@dataclass(frozen=True, slots=True)
class Title:
    """A heading taken apart. ``done`` tells whether it calls the bug fixed; ``id`` is "" where it has none."""

    id: str
    text: str
    done: bool


def title(heading: str) -> Title:
    """The id, the words and the state in a heading like ``### 1. **Missing import** - CRITICAL ✅ FIXED``."""
    text = plain(heading)
    done = bool(_DONE.search(text)) or bool(re.match(r"\s*(?:[-*+]\s+)?\[[xX]\]", heading))
    text = _DONE.sub("", text)
    last = _LAST_WORD.search(text)
    if last and last["word"].lower() in _BY_WORD:
        text = text[: last.start()]
    first = re.match(r"^\W*\[?([A-Za-z]+[0-4]?)\]?\s*[:\]]\s*", text)
    if first and first[1].lower() in _BY_WORD:
        text = text[first.end() :]
    match = _ID.match(text)
    if match is None:
        return Title("", text.strip(" -\u2013\u2014:") or plain(heading), done)
    name = (
        re.sub(r"(?i)^(?:bug|issue|finding|problem|error|defect)\s*[-#]?\s*(?=\d)", "", match["id"]) if " " in match["id"] else match["id"]
    )
    return Title(name.lstrip("#").strip(".-"), text[match.end() :].strip(" -\u2013\u2014:"), done)


# Places


_SUFFIXES = "pyw|pyi|py|txt|toml|cfg|ini|sql|yaml|yml|json|md|rst|lock|sh|jsx|js|tsx|ts|html|css|log|conf|csv"
_PATH = re.compile(
    rf"(?P<before>\blines?\s+\d[\d,\s\u2013-]{{0,30}}\s(?:of|in)\s+[`*\"']{{0,3}})?"
    rf"(?<![\w.@/\\~*-])(?:[a-z]+://[^\s`<>)\"']{{0,200}}?/(?:blob|tree|src)/[^\s/]{{1,100}}/)?"
    rf"(?P<path>(?:[A-Za-z]:[\\/]|~?[\\/]|(?:\.{{1,2}}[\\/])+)?(?:[\w.@+*-]{{1,200}}[\\/]{{1,2}}){{0,40}}[\w.@+*-]{{0,200}}\.(?:{_SUFFIXES}|env(?:\.\w{{1,20}})?))"
    r"(?![\w/\\-]|\.\w)"
)
_NUMBERS = (
    r"\d{1,7}(?:\s?[-\u2013\u2014]\s?L?\d{1,7})?(?:\s?(?:,|&|and)\s?L?\d{1,7}(?:\s?[-\u2013\u2014]\s?L?\d{1,7})?(?!\s+[a-z]{4,}|[\w./]))*"
)
_AFTER = re.compile(
    rf"#L?(?P<hash>\d{{1,7}}(?:-L?\d{{1,7}})?)|:\s?L?(?P<colon>{_NUMBERS})"
    rf"|[`*\"'\s,(\[|\u2013\u2014@-]{{0,6}}\b(?:at |on |around |near )?(?:lines?|ln\.?|L)\s?[:#~]?\s?[`*]{{0,2}}(?P<word>{_NUMBERS})",
    re.IGNORECASE,
)
_PROSE_LINE = re.compile(rf"(?i)\blines?\s?[:#~]?\s?(?P<numbers>{_NUMBERS})")


def places(text: str) -> Iterator[Place]:
    """Every path in a line of text, with the lines that are given for it: a Place for each line or range."""
    found: dict[tuple[str, int], Place] = {}
    for match in _PATH.finditer(text[:MAX_LINE]):
        path = re.sub(r"[\\/]+", "/", match["path"])
        after = _AFTER.match(text[match.end() : match.end() + 120])
        numbers = (after["hash"] or after["colon"] or after["word"]) if after else match["before"] or ""
        for line, end in ranges(numbers) or [(0, 0)]:
            found.setdefault((path, line), Place(path, line, end))
    lined = {path for path, line in found if line}
    yield from (one for (path, line), one in found.items() if line or path not in lined)


def prose_lines(text: str) -> list[tuple[int, int]]:
    """The lines in ``the call on line 72``, as (first, last)."""
    match = _PROSE_LINE.search(text[:MAX_LINE])
    return ranges(match["numbers"]) if match else []


def ranges(text: str) -> list[tuple[int, int]]:
    """``186-190, 209`` as ``[(186, 190), (209, 209)]``; lines count from 1."""
    pairs = [(int(one), int(two or one)) for one, two in re.findall(r"(\d{1,7})(?:\s?[-\u2013\u2014]\s?L?(\d{1,7}))?", text)]
    return [(min(pair), max(pair)) for pair in pairs[:20] if min(pair) > 0]


_MANY = re.compile(r"(?i)^\W*(?:multiple|various|several|many|all|numerous|throughout|across)\b")


def names_many(text: str) -> bool:
    """Whether a file field says that there are several files instead of naming them."""
    return bool(_MANY.match(text)) and not any(places(text))


def quotes(text: str) -> Iterator[str]:
    """The inline code of a line."""
    for match in re.finditer(r"(`{1,2})(?P<code>[^`]{2,200})\1", text[:MAX_LINE]):
        yield match["code"].strip()
