"""Finding quoted code in a file: line by line, whatever its spacing, quotes and comments, wherever it stands now."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

MAX_QUOTED = 80
MIN_SCORE = 12
_COMMON = 60  # a line that stands in a file more often says nothing about the place
_COMMENT = re.compile(r"(?:^|\s)(?:#|//).*$")
_ELISION = re.compile(r"^(?:\.{3}|\u2026)$")


@dataclass(frozen=True, slots=True)
class Match:
    """A run of lines that stand in a file as quoted. ``score`` counts their signs without spaces, ``share`` the part of the quote."""

    line: int
    end_line: int
    score: int
    share: float

    def distance(self, first: int, last: int) -> int:
        """How many lines lie between the match and a range; 0 when they touch."""
        return max(0, first - self.end_line, self.line - last)


def bare(line: str) -> str:
    """A line without spaces and comment, all quotes alike: what is compared."""
    match = _COMMENT.search(line)
    if match and not (line[: match.start()].count('"') % 2 or line[: match.start()].count("'") % 2):
        line = line[: match.start()]
    return "".join(line.split()).replace("'", '"')


@dataclass(frozen=True, slots=True)
class Code:
    """A file's lines as they are compared: ``text`` without the empty ones, ``numbers`` their 1-based numbers."""

    lines: Sequence[str]
    text: tuple[str, ...]
    numbers: tuple[int, ...]
    where: Mapping[str, tuple[int, ...]]


def code_of(lines: Sequence[str]) -> Code:
    """A file's lines made ready for comparison."""
    pairs = [(text, number) for number, line in enumerate(lines, 1) if (text := bare(line))]
    where: dict[str, list[int]] = {}
    for index, (text, _) in enumerate(pairs):
        where.setdefault(text, []).append(index)
    return Code(
        lines, tuple(text for text, _ in pairs), tuple(number for _, number in pairs), {key: tuple(at) for key, at in where.items()}
    )


def chunks(quoted: str) -> list[list[str]]:
    """Quoted code as pieces to look for: what stands between empty lines and dots."""
    found: list[list[str]] = [[]]
    for line in quoted.split("\n")[:MAX_QUOTED]:
        text = bare(line)
        if text and not _ELISION.match(text):
            found[-1].append(text)
        elif found[-1] and not (line.strip() and not _ELISION.match(line.strip())):
            found.append([])
    return [chunk for chunk in found if chunk]


def find(code: Code, quoted: str) -> list[Match]:
    """Where the pieces of quoted code stand in a file: the best run of lines for each place, at least half of a piece."""
    return sorted({match for chunk in chunks(quoted) for match in _find(code, chunk)}, key=lambda match: (match.line, match.end_line))


def _find(code: Code, chunk: Sequence[str]) -> Iterator[Match]:
    total = sum(map(len, chunk))
    runs: dict[tuple[int, int], int] = {}  # (quoted line, line of the file) at the end of a run -> its length
    for number, text in enumerate(chunk):
        at = code.where.get(text, ())
        for index in at if len(at) <= _COMMON else ():
            runs[number, index] = runs.pop((number - 1, index - 1), 0) + 1
    for (number, index), length in runs.items():
        score = sum(map(len, chunk[number - length + 1 : number + 1]))
        if score >= MIN_SCORE and 2 * score >= total:
            yield Match(code.numbers[index - length + 1], code.numbers[index], score, score / total)


_ERRORS = (  # what an error's text says about the line that raises it
    (re.compile(r"No module named ['\"](?P<a>[\w.]{1,80})['\"]"), r"^\s*(?:import|from)\s+{a}\b"),
    (
        re.compile(r"cannot import name ['\"](?P<b>\w{1,80})['\"] from (?:partially initialized module )?['\"](?P<a>[\w.]{1,80})['\"]"),
        r"^\s*from\s+{a}\s+import\s+(?:\(|.*\b{b}\b)",
    ),
    (re.compile(r"module ['\"](?P<a>[\w.]{1,80})['\"] has no attribute ['\"](?P<b>\w{1,80})['\"]"), r"\b{a}\.{b}\b"),
    (re.compile(r"object has no attribute ['\"](?P<a>\w{1,80})['\"]"), r"\.{a}\b"),
    (re.compile(r"name ['\"](?P<a>\w{1,80})['\"] is not defined"), r"\b{a}\b"),
)


def find_errors(code: Code, text: str) -> list[Match]:
    """The lines that raise the errors whose texts an entry quotes, as far as the texts tell."""
    found: list[Match] = []
    for error, shape in _ERRORS:
        for match in list(error.finditer(text))[:10]:
            pattern = re.compile(shape.format(**{name: re.escape(part) for name, part in match.groupdict().items()}))
            lines = [number for number in code.numbers if pattern.search(code.lines[number - 1][:500])]
            found += [Match(number, number, MIN_SCORE, 1.0) for number in (lines[:1] if "is not defined" in match[0] else lines)]
    return sorted(set(found), key=lambda match: match.line)


def find_inside(code: Code, snippets: Sequence[str]) -> list[Match]:
    """Lines that hold one of some snippets of inline code; names alone and what stands in more than five lines do not count."""
    found: Counter[tuple[int, int]] = Counter()
    for snippet in snippets:
        text = bare(snippet)
        if len(text) < 8 or re.fullmatch(r"[\w/\\-]+(?:\(\))?|[\w./\\-]+\.\w{1,4}(?::[\d,-]+)?", text):
            continue
        lines = [number for line, number in zip(code.text, code.numbers, strict=True) if text in line]
        if len(lines) <= 5:
            found.update((number, len(text)) for number in lines)
    return [Match(number, number, score, 1.0) for number, score in sorted(found)]
