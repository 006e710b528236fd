"""One Python file: bytes, text, tree, and the questions that rules ask about them, each answered once and only when asked."""

from __future__ import annotations

import ast
import codecs
import io
import re
import tokenize
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TypeVar, cast

from fixbot.detectors.engines.ruff import Diagnostic
from fixbot.detectors.finding import Span
from fixbot.detectors.hints import words
from fixbot.detectors.walk import Parents, descendants, index, is_indexed, nodes_at, only_statements, walk

_LINE_END = re.compile(r"\r\n|\r|\n")
_NODE = TypeVar("_NODE", bound=ast.AST)
Located = ast.expr | ast.stmt | ast.ExceptHandler | ast.arg | ast.keyword | ast.alias | ast.pattern
Function = ast.FunctionDef | ast.AsyncFunctionDef


class SkippedFile(Exception):
    """A file that cannot be analysed; the text says why, in the words that reports show."""


class SourceFile:
    """A file of the project. ``path`` is relative to the project's root with ``/``.

    ``diagnostics`` are ruff's, of the codes that rules asked for. Everything but these three is computed on first use. ``text`` and
    ``tree`` raise SkippedFile when the file cannot be decoded or parsed.
    """

    def __init__(self, path: str, data: bytes, diagnostics: Sequence[Diagnostic] = ()) -> None:
        self.path = path
        self.data = data
        self.diagnostics = diagnostics

    @cached_property
    def encoding(self) -> str:
        """The codec's name, by byte order mark and coding cookie (PEP 263); ``utf-8-sig`` with a mark."""
        try:
            return tokenize.detect_encoding(io.BytesIO(self.data).readline)[0]
        except (SyntaxError, LookupError) as error:
            if "missing encoding declaration" in str(error):
                raise SkippedFile("not valid utf-8, and no other encoding is declared") from None
            raise SkippedFile(f"unknown or contradictory encoding: {error}") from None

    @cached_property
    def text(self) -> str:
        """The decoded file without its byte order mark, line ends as they are."""
        if b"\0" in self.data:
            raise SkippedFile("contains NUL bytes")
        try:
            return codecs.decode(self.data, self.encoding)
        except (UnicodeDecodeError, LookupError, ValueError):
            raise SkippedFile(f"not valid {self.encoding}") from None

    @cached_property
    def words(self) -> frozenset[bytes]:
        """The identifiers, keywords and numbers of the file, those in strings and comments included: a quick look at what it can hold."""
        return words(self.data)

    @cached_property
    def lines(self) -> list[str]:
        """The lines without their ends, as Python counts them: only CR, LF and CRLF end a line."""
        return _LINE_END.split(self.text)

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree."""
        if b"\0" in self.data:
            raise SkippedFile("contains NUL bytes")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return ast.parse(self.data, self.path)
        except SyntaxError as error:
            _ = self.text  # where the text cannot be had, that is the better reason
            detail = f"syntax error, line {error.lineno}" if error.lineno else f"syntax error: {error.msg}"
            raise SkippedFile(detail) from None
        except (RecursionError, MemoryError):
            raise SkippedFile("nested too deeply to parse") from None
        except (ValueError, LookupError) as error:
            raise SkippedFile(f"cannot be parsed: {error}") from None

    # Places

    def column(self, line: int, offset: int) -> int:
        """The 1-based column in code points for an ``ast`` offset, which counts UTF-8 bytes."""
        if self._is_ascii:
            return offset + 1
        text = self.lines[line - 1]
        return (offset if text.isascii() else len(text.encode()[:offset].decode("utf-8", "replace"))) + 1

    @cached_property
    def _is_ascii(self) -> bool:
        return self.data.isascii()

    def span(self, node: Located) -> Span:
        """Where a node stands."""
        end_line = node.end_lineno or node.lineno
        return Span(
            node.lineno,
            self.column(node.lineno, node.col_offset),
            end_line,
            self.column(end_line, node.end_col_offset or node.col_offset),
        )

    def segment(self, span: Span) -> str:
        """The text of a span, its lines joined by LF."""
        rows = self.lines[span.line - 1 : span.end_line]
        if not rows:
            return ""
        rows[-1] = rows[-1][: span.end_column - 1]
        rows[0] = rows[0][span.column - 1 :]
        return "\n".join(rows)

    # Structure

    @cached_property
    def _parents(self) -> Parents:
        return Parents(self.tree)

    def parent(self, node: ast.AST) -> ast.AST | None:
        """The node that holds this one; None for the module."""
        return self._parents.get(node)

    def ancestors(self, node: ast.AST) -> Iterator[ast.AST]:
        """The parent, its parent and so on up to the module."""
        parent = self._parents.get(node)
        while parent is not None:
            yield parent
            parent = self._parents.get(parent)

    def enclosing(self, node: ast.AST, *kinds: type[_NODE]) -> _NODE | None:
        """The innermost ancestor of one of these kinds."""
        return next((ancestor for ancestor in self.ancestors(node) if isinstance(ancestor, kinds)), None)

    def function(self, node: ast.AST) -> Function | None:
        """The function whose body holds the node; None at module level and directly in a class."""
        for ancestor in self.ancestors(node):
            if isinstance(ancestor, ast.FunctionDef | ast.AsyncFunctionDef):
                return ancestor
            if isinstance(ancestor, ast.ClassDef):
                return None
        return None

    def block(self, statement: ast.stmt) -> list[ast.stmt]:
        """The list of statements that holds this one; only itself where there is none."""
        parent = self.parent(statement)
        for name in ("body", "orelse", "finalbody"):
            statements: list[ast.stmt] = getattr(parent, name, [])
            if statement in statements:
                return statements
        return [statement]

    def scope(self, node: ast.AST) -> str:
        """The dotted name of the function or class around a node, ``""`` at module level."""
        names = [a.name for a in self.ancestors(node) if isinstance(a, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)]
        return ".".join(reversed(names))

    def node_at(self, line: int, column: int, *kinds: type[_NODE]) -> _NODE | None:
        """The first node of one of these kinds that starts at a place (1-based, code points)."""
        for node in descendants(self.tree):
            if isinstance(node, kinds) and getattr(node, "lineno", 0) == line:
                offset: int = getattr(node, "col_offset", -1)
                if self.column(line, offset) == column:
                    return node
        return None

    # Names

    @cached_property
    def imports(self) -> Mapping[str, str]:
        """Local name -> dotted origin for every import in the file, at any depth: ``{"np": "numpy", "get": "requests.get"}``.

        ``import a.b`` binds ``a``. Relative imports keep their dots: ``from .x import y`` gives ``{"y": ".x.y"}``.
        """
        names: dict[str, str] = {}
        for node in self.import_statements:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    top = alias.name.partition(".")[0]
                    names[alias.asname or top] = alias.name if alias.asname else top
            else:
                origin = "." * node.level + (node.module or "")
                separator = "" if origin.endswith(".") or not origin else "."
                for alias in node.names:
                    names[alias.asname or alias.name] = f"{origin}{separator}{alias.name}"
        return names

    def nodes(self, *kinds: type[_NODE]) -> Iterator[_NODE]:
        """The nodes of exactly these classes, class after class, outer ones first.

        The tree is walked once for all who ask; of statements only, without a look at the expressions.
        """
        if not is_indexed(kinds):
            yield from cast("Iterator[_NODE]", walk(self.tree, kinds))
            return
        found = self._statements if only_statements(kinds) and "_index" not in self.__dict__ else self._index
        for kind in kinds:
            yield from cast("Sequence[_NODE]", found.get(kind, ()))

    def nodes_with(self, texts: Collection[bytes], *kinds: type[_NODE]) -> Iterator[_NODE]:
        """The nodes of exactly these classes on whose lines one of the texts stands, outer ones first.

        Nothing else of the tree is read, so this is the cheapest where the texts are rare.
        """
        lines = self._lines_with(texts)
        yield from self.nodes(*kinds) if lines is None else cast("Iterator[_NODE]", nodes_at(self.tree, kinds, lines))

    def _lines_with(self, texts: Collection[bytes]) -> list[int] | None:
        """The numbers of the lines that hold one of the texts, ascending; None where lines do not end with LF or CRLF alone."""
        data = self.data
        if b"\r" in data and data.count(b"\r") != data.count(b"\r\n"):
            return None
        places: set[int] = set()
        for text in texts:
            place = data.find(text)
            while place >= 0:
                places.add(place)
                end = data.find(b"\n", place)
                place = data.find(text, end) if end >= 0 else -1
        lines: list[int] = []
        line, start = 1, 0
        for place in sorted(places):
            line += data.count(b"\n", start, place)
            start = place
            lines.append(line)
        return lines

    @cached_property
    def _index(self) -> Mapping[type[ast.AST], Sequence[ast.AST]]:
        return index(self.tree, statements=False)

    @cached_property
    def _statements(self) -> Mapping[type[ast.AST], Sequence[ast.AST]]:
        return index(self.tree, statements=True)

    @cached_property
    def import_statements(self) -> list[ast.Import | ast.ImportFrom]:
        """Every import statement of the file in source order, at any depth."""
        found: Iterator[ast.Import | ast.ImportFrom] = self.nodes_with((b"import",), ast.Import, ast.ImportFrom)
        return sorted(found, key=lambda node: (node.lineno, node.col_offset))

    def qualified(self, node: ast.expr) -> str | None:
        """The dotted origin of a name or attribute chain: ``requests.get`` for ``r.get`` after ``import requests as r``.

        None when the chain does not begin with an imported name. A local that shadows an import is not seen.
        """
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return None
        origin = self.imports.get(node.id)
        return None if origin is None else ".".join([origin, *reversed(parts)])

    def made_by(self, node: ast.expr) -> str | None:
        """What made the object behind a name or attribute chain: ``minio.Minio`` for ``self.store`` after ``self.store = Minio(...)``.

        The dotted origin of the call that is bound to it in this file, by assignment or ``with``; or of the call that ``node`` itself is.
        None when it is bound to anything else anywhere in the file, also to an argument of that name, or not at all.
        """
        if isinstance(node, ast.Call):
            return self.qualified(node.func)
        name = dotted(node)
        return self._makers.get(name) if name else None

    @cached_property
    def _makers(self) -> dict[str, str | None]:
        makers: dict[str, str | None] = {}
        for node in descendants(self.tree):
            for name, value in _bindings(node):
                made = self.qualified(value.func) if isinstance(value, ast.Call) else None
                makers[name] = made if makers.get(name, made) == made else None
        return makers


def _bindings(node: ast.AST) -> Iterator[tuple[str, ast.expr | None]]:
    """The names and attribute chains that a node binds, each with the value; ``None`` placeholders of attributes do not count."""
    match node:
        case ast.Assign(targets=targets, value=value):
            names = [(dotted(target), value) for target in targets]
        case ast.AnnAssign(target=target, value=ast.expr() as value) | ast.NamedExpr(target=target, value=value):
            names = [(dotted(target), value)]
        case ast.withitem(context_expr=value, optional_vars=ast.expr() as target):
            names = [(dotted(target), value)]
        case ast.For(target=target) | ast.AsyncFor(target=target) | ast.comprehension(target=target):
            names = [(part.id, None) for part in descendants(target) if isinstance(part, ast.Name)]
        case ast.arg(arg=name):
            names = [(name, None)]
        case _:
            return
    yield from ((name, value) for name, value in names if name and not (isinstance(value, ast.Constant) and value.value is None))


def substatements(node: ast.stmt) -> Iterator[ast.stmt]:
    """The statements directly below one, those of its handlers and cases included."""
    for name in ("body", "handlers", "orelse", "finalbody", "cases"):
        for child in getattr(node, name, ()):
            if isinstance(child, ast.stmt):
                yield child
            elif isinstance(child, ast.ExceptHandler | ast.match_case):
                yield from child.body


def dotted(node: ast.expr) -> str | None:
    """``a.b.c`` for a plain name or attribute chain, as written; None for anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else None
