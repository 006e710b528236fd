"""What a file that does not parse holds already, by its tokens: for the gate, which has no syntax tree of it to compare with.

Whatever can do something to the world must stand, token for token, on a line of the file as it was, outside of comments and strings,
and what it is called by must be imported as it was. What a tolerant look does not see counts as new.
"""

from __future__ import annotations

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property

from fixbot.detectors.source import SkippedFile, SourceFile

_TOKEN = re.compile(
    r"""(?P<comment>\#[^\n]*)
    | (?P<string>(?:\b[rRbBuUfFtT]{1,2})?(?:
          \"{3}(?:[^\\]|\\.)*?(?:\"{3}|\Z) | '{3}(?:[^\\]|\\.)*?(?:'{3}|\Z)
        | \"(?:[^\"\\\n]|\\.)*(?:\"|$) | '(?:[^'\\\n]|\\.)*(?:'|$)))
    | (?P<word>\w+)
    | (?P<end>\n)""",
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)
Tokens = tuple[str, ...]


class _Lines:
    """The words and strings of each line; a line inside of a string has those of the line that the string begins on."""

    def __init__(self, text: str) -> None:
        self._lines: list[list[str]] = [[]]
        for match in _TOKEN.finditer(text.replace("\r\n", "\n").replace("\r", "\n")):
            kind, token = match.lastgroup, match[0]
            line = self._lines[-1]
            if kind in ("word", "string"):
                line.append(token)
            if kind != "comment":
                self._lines += [line if kind == "string" else [] for _ in range(token.count("\n"))]
        self.whole = list(self._of(self._lines))
        self.counts = Counter(self.whole)

    @staticmethod
    def _of(lines: Iterable[list[str]]) -> Iterator[Tokens]:
        seen: list[str] = []
        for line in lines:
            if line and line is not seen:
                yield tuple(line)
            seen = line

    def of(self, first: int, last: int) -> list[Tokens]:
        """The tokens of some lines, those without any left out; lines of one string count once."""
        return list(self._of(self._lines[first - 1 : last]))

    def start(self, line: int) -> int:
        """The line on which the string begins that a line is in; the line itself where there is none."""
        while line > 1 and self._lines[line - 1] and self._lines[line - 2] is self._lines[line - 1]:
            line -= 1
        return line

    def has(self, some: Sequence[Tokens]) -> bool:
        """Whether these lines stand in the file, one right after the other."""
        return not some or any(self.whole[at : at + len(some)] == some for at in self._places.get(some[0], ()))

    @cached_property
    def _places(self) -> Mapping[Tokens, Sequence[int]]:
        places: defaultdict[Tokens, list[int]] = defaultdict(list)
        for at, line in enumerate(self.whole):
            places[line].append(at)
        return places


class Before:
    """A file that did not parse, to be asked what of its mended version is new. Raises SkippedFile where it cannot even be decoded."""

    def __init__(self, old: SourceFile, new: SourceFile) -> None:
        self._old, self._new, self._source = _Lines(old.text), _Lines(new.text), new

    @property
    def asserts(self) -> int:
        """How many asserts that can fail there seem to be."""
        return sum(number for line, number in self._old.counts.items() if line[0] == "assert" and line[1:] not in (("True",), ("1",)))

    def fresh(self, nodes: Iterable[tuple[str, ast.expr]]) -> str:
        """The first of the things to be looked at, each with its name, that the file did not have; "" when it had all of them."""
        left = self._old.counts.copy()
        seen: set[int] = set()
        for name, node in nodes:
            numbers = {self._new.start(number) for number in range(node.lineno, (node.end_lineno or node.lineno) + 1)}
            lines = [line for number in numbers - seen for line in self._new.of(number, number)]
            seen |= numbers
            left.subtract(lines)
            if any(left[line] < 0 for line in lines) or _root(node) in self._rebound:
                return name
        return ""

    @cached_property
    def _rebound(self) -> frozenset[str]:
        """Names that an import binds which was not there, or that one bound which is gone."""
        kept: set[str] = set()
        found: set[str] = set()
        for node in self._source.import_statements:
            known = self._old.has(self._new.of(node.lineno, node.end_lineno or node.lineno))
            (kept if known else found).update(alias.asname or alias.name.partition(".")[0] for alias in node.names)
        lost = (line for line in self._old.counts if line[0] in ("import", "from") and line not in self._new.counts)
        return frozenset(found | ({word for line in lost for word in line} - kept))


def parses(source: SourceFile) -> bool:
    """Whether the file has a syntax tree."""
    try:
        _ = source.tree
    except SkippedFile:
        return False
    return True


def _root(node: ast.expr) -> str:
    """The name that a chain of attributes and calls begins with."""
    while True:
        match node:
            case ast.Attribute(value=inner) | ast.Call(func=inner) | ast.Subscript(value=inner):
                node = inner
            case ast.Name(id=name):
                return name
            case _:
                return ""
