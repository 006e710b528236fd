"""What codemods are written with: the finding's node in a libcst tree, replacements that stay inside the finding's function, imports.

A codemod is a module in ``patchers/codemods/<group>/`` with the rule's name and one function,
``fix(finding, tree) -> Iterable[Edit]``. It raises Abstain when the code is not of a shape that it knows.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import io
import tokenize
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import TypeVar, cast

import libcst as cst
from libcst.metadata import CodeRange, MetadataWrapper, ParentNodeProvider, PositionProvider

from fixbot.detectors.finding import Finding, Span
from fixbot.detectors.source import SkippedFile, SourceFile
from fixbot.patchers.difference import edits_between
from fixbot.patchers.imports import head_edits
from fixbot.patchers.patch import Edit, apply_edits

_NODE = TypeVar("_NODE", bound=cst.CSTNode)
_MAX_NESTING = 600  # libcst's native parser overflows its stack at about 1,500 nested parentheses
Replacement = cst.CSTNode | cst.RemovalSentinel | cst.FlattenSentinel[cst.BaseStatement] | cst.FlattenSentinel[cst.BaseSmallStatement]


class Abstain(Exception):
    """The codemod will not fix this finding; the text says why, in the words that reports show."""


class Tree:
    """The repository as codemods see it: files by relative path, nothing outside, nothing written."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, path: str) -> bytes:
        """A file's bytes. Raises Abstain when it is not there."""
        full = self.root / path
        if full.is_symlink() or not full.is_file() or not full.resolve().is_relative_to(self.root.resolve()):
            raise Abstain(f"{path} is not a file of the repository")
        return full.read_bytes()

    def target(self, finding: Finding, *, path: str | None = None, span: Span | None = None) -> Target:
        """The parsed file of a finding, positioned at its span; or another file and span that its facts name."""
        where = path or finding.path
        return Target(SourceFile(where, self.read(where)), span or finding.span)


class Target:
    """A file under repair. ``source`` answers questions on ``ast``, ``module`` is the libcst tree to build replacements from."""

    def __init__(self, source: SourceFile, span: Span) -> None:
        self.source = source
        self.span = span
        self._replacements: dict[cst.CSTNode, Replacement] = {}
        self._imports: list[tuple[str, str | None]] = []
        self._definitions: list[str] = []

    @cached_property
    def module(self) -> cst.Module:
        """The concrete tree. Raises Abstain when the file cannot be changed without touching other bytes."""
        _check_nesting(self.source)
        try:
            module = cst.parse_module(self.source.data)
        except (cst.ParserSyntaxError, RecursionError, UnicodeError) as error:
            raise Abstain(f"libcst cannot parse the file: {str(error).splitlines()[0]}") from None
        if module.bytes != self.source.data:
            raise Abstain("the file has mixed line ends that a rewrite would change")
        return module

    @cached_property
    def _wrapper(self) -> MetadataWrapper:
        return MetadataWrapper(self.module, unsafe_skip_copy=True)

    @cached_property
    def _positions(self) -> dict[cst.CSTNode, CodeRange]:
        return cast(dict[cst.CSTNode, CodeRange], self._wrapper.resolve(PositionProvider))

    @cached_property
    def _parents(self) -> dict[cst.CSTNode, cst.CSTNode]:
        return cast(dict[cst.CSTNode, cst.CSTNode], self._wrapper.resolve(ParentNodeProvider))

    # Finding nodes

    def node(self, kind: type[_NODE], span: Span | None = None) -> _NODE:
        """The node of this class that a span means: same place, else same start, else the smallest around it. Raises Abstain."""
        wanted = span or self.span
        start, end = (wanted.line, wanted.column - 1), (wanted.end_line, wanted.end_column - 1)
        same_start: list[_NODE] = []
        around: list[_NODE] = []
        for node, place in self._positions.items():
            if not isinstance(node, kind):
                continue
            first, last = (place.start.line, place.start.column), (place.end.line, place.end.column)
            if first == start and last == end:
                return node
            if first == start:
                same_start.append(node)
            elif first <= start and last >= end:
                around.append(node)
        found = same_start or around
        if not found:
            raise Abstain(f"no {kind.__name__} at line {wanted.line}")
        return min(found, key=self._extent)

    def _extent(self, node: cst.CSTNode) -> tuple[int, int]:
        place = self._positions[node]
        return place.end.line - place.start.line, place.end.column - place.start.column

    def span_of(self, node: cst.CSTNode) -> Span:
        """Where a node of this module stands."""
        place = self._positions[node]
        return Span(place.start.line, place.start.column + 1, place.end.line, place.end.column + 1)

    def parent(self, node: cst.CSTNode) -> cst.CSTNode | None:
        """The node that holds this one."""
        return self._parents.get(node)

    def enclosing(self, node: cst.CSTNode, *kinds: type[_NODE]) -> _NODE | None:
        """The innermost node of one of these classes around a node."""
        parent = self._parents.get(node)
        while parent is not None and not isinstance(parent, kinds):
            parent = self._parents.get(parent)
        return parent

    def function(self, node: cst.CSTNode) -> cst.FunctionDef | None:
        """The function around a node."""
        return self.enclosing(node, cst.FunctionDef)

    # Building

    def expression(self, code: str) -> cst.BaseExpression:
        """Code as an expression node."""
        return cst.parse_expression(code, config=self.module.config_for_parsing)

    def statements(self, code: str) -> Sequence[cst.BaseStatement]:
        """Code as statement nodes with the file's own indentation and line ends."""
        parsed = cst.parse_module(code, config=self.module.config_for_parsing)
        return cast(Sequence[cst.BaseStatement], parsed.body)

    def code(self, node: cst.CSTNode) -> str:
        """The source text of a node."""
        return self.module.code_for_node(node)

    def use_import(self, module: str, name: str | None = None) -> str:
        """Ask for ``import module`` (or ``from module import name``); returns the local name to use in code.

        An import of it that the file already has is used, under the name that it has there. Raises Abstain when the name is bound to
        something else in the file.
        """
        origin = f"{module}.{name}" if name else module
        for local, known in self._module_level_imports.items():
            if known == origin and self._is_only_import(local):
                return local
        local = name or module.partition(".")[0]
        bound = self._bound_names.get(local, 0)
        if bound and self.source.imports.get(local) != (origin if name else local):
            raise Abstain(f"`{local}` already means something else in this file")
        self._imports.append((module, name))
        return name or module

    def _is_only_import(self, local: str) -> bool:
        return self._bound_names.get(local, 0) <= sum(
            local in (alias.asname, alias.name.partition(".")[0], alias.name)
            for node in self.source.import_statements
            for alias in node.names
        )

    @cached_property
    def _module_level_imports(self) -> dict[str, str]:
        top = [node for node in self.source.tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        names = {alias.asname or alias.name for node in top for alias in node.names}
        names |= {alias.name.partition(".")[0] for node in top for alias in node.names if not alias.asname}
        return {local: origin for local, origin in self.source.imports.items() if local in names}

    @cached_property
    def _bound_names(self) -> dict[str, int]:
        bound: Counter[str] = Counter()
        for node in ast.walk(self.source.tree):
            match node:
                case ast.Name(ctx=ast.Store() | ast.Del()):
                    bound[node.id] += 1
                case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                    bound[node.name] += 1
                case ast.arg():
                    bound[node.arg] += 1
                case ast.alias():
                    bound[node.asname or node.name.partition(".")[0]] += 1
                case ast.ExceptHandler(name=str(name)):
                    bound[name] += 1
                case _:
                    pass
        return bound

    def define(self, statement: str) -> None:
        """Ask for a module-level statement (one line) below the imports, unless the file already has it."""
        if statement not in self.source.lines:
            self._definitions.append(statement)

    def is_bound(self, name: str) -> bool:
        """Whether a name is bound anywhere in the file."""
        return name in self._bound_names

    # The result

    def replace(self, old: cst.CSTNode, new: Replacement) -> None:
        """Put ``new`` in the place of ``old``, a node of this module. It must lie inside the function (or statement) of the finding."""
        self._replacements[old] = new

    def edits(self, *, anywhere: bool = False) -> tuple[Edit, ...]:
        """The edits that do what was asked. Raises Abstain when they would reach further or lose a comment.

        ``anywhere`` lifts the bound to the finding's function: for codemods whose finding names another place that must change.
        """
        edits = head_edits(self.source, self._imports, self._definitions)
        if self._replacements:
            if not anywhere:
                self._check_containment()
            changed = cst.ensure_type(self.module.visit(_Replacer(self._replacements)), cst.Module).bytes
            edits += edits_between(self.source.path, self.source.data, changed)
        if not edits:
            raise Abstain("nothing to change")
        _check_comments(self.source, edits)
        return edits

    def _check_containment(self) -> None:
        anchor = self.node(cst.CSTNode)
        limit: cst.CSTNode = self.function(anchor) or self._top_statement(anchor)
        allowed = self.span_of(limit)
        for old in self._replacements:
            place = self.span_of(old)
            if place.line < allowed.line or place.end_line > allowed.end_line:
                raise Abstain(f"the fix would change line {place.line}, outside the finding's function")

    def _top_statement(self, node: cst.CSTNode) -> cst.CSTNode:
        current = node
        while (parent := self._parents.get(current)) is not None and not isinstance(parent, cst.Module):
            current = parent
        return current


class _Replacer(cst.CSTTransformer):
    def __init__(self, replacements: dict[cst.CSTNode, Replacement]) -> None:
        super().__init__()
        self._replacements = replacements

    def on_leave(self, original_node: cst.CSTNodeT, updated_node: cst.CSTNodeT) -> Replacement:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self._replacements.get(original_node, updated_node)


def _check_nesting(source: SourceFile) -> None:
    depth = 0
    for sign in source.data:
        if sign in b"([{":
            depth += 1
            if depth > _MAX_NESTING:
                raise Abstain("the file is nested too deeply for libcst")
        elif sign in b")]}":
            depth -= 1


def _check_comments(source: SourceFile, edits: Iterable[Edit]) -> None:
    before = _comments(source)
    after = _comments(SourceFile(source.path, apply_edits(source.data, edits)))
    missing = [comment for comment in before if before.count(comment) > after.count(comment)]
    if missing:
        raise Abstain(f"the fix would lose the comment {missing[0]!r}")


def _comments(source: SourceFile) -> list[str]:
    try:
        tokens = tokenize.generate_tokens(io.StringIO(source.text).readline)
        return [token.string for token in tokens if token.type == tokenize.COMMENT]
    except (tokenize.TokenError, SyntaxError, SkippedFile) as error:
        raise Abstain(f"the result cannot be read: {error}") from None


Codemod = Callable[[Finding, Tree], Iterable[Edit]]


@cache
def find_codemod(rule: str) -> Codemod | None:
    """The ``fix`` function of the codemod that is named like the rule, built in or of a plug-in rule's package; None when there is none."""
    from fixbot.detectors.registry import all_rules

    known = all_rules().get(rule)
    if known is None:
        return None
    group = f"fixbot.patchers.codemods.{known.group.replace('-', '_')}"
    name = f"{group}.{rule.replace('-', '_')}"
    if importlib.util.find_spec(group) is None or importlib.util.find_spec(name) is None:
        return None
    return importlib.import_module(name).fix
