"""Fast passes over syntax trees: no contexts, no operators, one table of child fields a node class."""

from __future__ import annotations

import ast
import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any

_FIELD = re.compile(r"(\w+)([*?]*) (\w+)[,)]")  # `expr? returns,` in the grammar that each node class has as its docstring
_STATEMENTS = frozenset({"stmt", "excepthandler", "match_case"})
_LEAVES = frozenset(
    {"identifier", "string", "int", "constant", "object", "expr_context", "boolop", "operator", "unaryop", "cmpop", "type_ignore"}
)
_STATEMENT_CLASSES = (ast.stmt, ast.ExceptHandler, ast.match_case, ast.Module)


class _Fields(dict[type[ast.AST], tuple[str, ...]]):
    """The names of the fields that hold nodes, by node class; made on first use."""

    def __init__(self, *, statements: bool) -> None:
        super().__init__()
        self._statements = statements

    def __missing__(self, kind: type[ast.AST]) -> tuple[str, ...]:
        fields: list[tuple[str, str, str]] = _FIELD.findall(kind.__doc__ or "")
        names = tuple(name for type_, _, name in fields if (type_ in _STATEMENTS if self._statements else type_ not in _LEAVES))
        self[kind] = names
        return names


_ALL = _Fields(statements=False)
_BLOCKS = _Fields(statements=True)


class _Getters(dict[type[ast.AST], "tuple[_Getter, _Getter, _Getter, _Getter]"]):
    """For each node class what gets its only child, its several children, its only list of children, its several lists."""

    def __init__(self, *, statements: bool) -> None:
        super().__init__()
        self._names = _BLOCKS if statements else _ALL

    def __missing__(self, kind: type[ast.AST]) -> tuple[_Getter, _Getter, _Getter, _Getter]:
        many = {name for _, mark, name in _FIELD.findall(kind.__doc__ or "") if mark == "*"}
        single = [name for name in self._names[kind] if name not in many]
        lists = [name for name in self._names[kind] if name in many]
        self[kind] = found = (*_getters(single), *_getters(lists))
        return found


_Getter = Callable[[ast.AST], Any] | None


def _getters(names: Sequence[str]) -> tuple[_Getter, _Getter]:
    getter = attrgetter(*names) if names else None
    return (getter, None) if len(names) == 1 else (None, getter)


_GET_ALL = _Getters(statements=False)
_GET_BLOCKS = _Getters(statements=True)
_DECORATED = frozenset({ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef})
_UNINDEXED = frozenset({ast.Name, ast.Constant, type(None)})


def is_indexed(kinds: Collection[type[ast.AST]]) -> bool:
    """Whether ``index`` lists the nodes of all these classes."""
    return _UNINDEXED.isdisjoint(kinds)


def only_statements(kinds: Collection[type[ast.AST]]) -> bool:
    """Whether all of these classes are statements, handlers or cases, which are found without a look at any expression."""
    return all(issubclass(kind, _STATEMENT_CLASSES) for kind in kinds)


def index(tree: ast.Module, *, statements: bool) -> Mapping[type[ast.AST], Sequence[ast.AST]]:
    """All nodes by their class, outer ones first; without names and constants, and without expressions where only statements are wanted."""
    getters = _GET_BLOCKS if statements else _GET_ALL
    unindexed = _UNINDEXED
    found: defaultdict[type[ast.AST], list[ast.AST]] = defaultdict(list)
    pending: list[Any] = [tree]
    push, extend = pending.append, pending.extend
    for node in pending:
        kind = node.__class__
        if kind in unindexed:
            continue
        found[kind].append(node)
        child, several, nodes, lists = getters[kind]
        if child is not None:
            value = child(node)
            if value.__class__ not in unindexed:
                push(value)
        elif several is not None:
            for value in several(node):
                if value.__class__ not in unindexed:
                    push(value)
        if nodes is not None:
            extend(nodes(node))
        elif lists is not None:
            for values in lists(node):
                extend(values)
    return found


def walk(tree: ast.Module, wanted: Collection[type[ast.AST]]) -> Iterator[ast.AST]:
    """Every node of exactly one of the wanted classes, in no particular order.

    Names and constants are visited only when wanted, expressions only when one of the wanted classes is not a statement.
    """
    kinds = frozenset(wanted)
    fields = _BLOCKS if only_statements(kinds) else _ALL
    ignored = frozenset({ast.Name, ast.Constant} - kinds)
    pending: list[ast.AST] = [tree]
    pop, push, extend = pending.pop, pending.append, pending.extend
    while pending:
        node = pop()
        kind = node.__class__
        if kind in ignored:
            continue
        if kind in kinds:
            yield node
        for name in fields[kind]:
            value = getattr(node, name)
            if value.__class__ is list:
                extend(value)
            elif value is not None and value.__class__ not in ignored:
                push(value)


def children(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes that a node holds directly, in source order, contexts and operators left out."""
    for name in _ALL[node.__class__]:
        value = getattr(node, name)
        if value.__class__ is list:
            for child in value:
                if child is not None:
                    yield child
        elif value is not None:
            yield value


def descendants(node: ast.AST) -> Iterator[ast.AST]:
    """The node and everything below it, outer nodes first: ``ast.walk`` in a third of the time."""
    found: list[ast.AST] = [node]
    push = found.append
    for one in found:
        yield one
        for name in _ALL[one.__class__]:
            value = getattr(one, name)
            if value.__class__ is list:
                for child in value:
                    if child is not None:
                        push(child)
            elif value is not None:
                push(value)


def parents(tree: ast.AST) -> dict[ast.AST, ast.AST]:
    """Each node below ``tree`` with the node that holds it."""
    known: dict[ast.AST, ast.AST] = {}
    pending: list[ast.AST] = [tree]
    push = pending.append
    for node in pending:
        kind = node.__class__
        if kind in _UNINDEXED:  # holds nothing
            continue
        child, several, nodes, lists = _GET_ALL[kind]
        below = (child(node),) if child is not None else several(node) if several is not None else ()
        for value in below:
            if value is not None:
                known[value] = node
                push(value)
        for values in (nodes(node),) if nodes is not None else lists(node) if lists is not None else ():
            for value in values:
                if value is not None:
                    known[value] = node
                    push(value)
    return known


def nodes_at(tree: ast.Module, kinds: Collection[type[ast.AST]], lines: Sequence[int]) -> Iterator[ast.AST]:
    """The nodes of these classes that stand on one of some lines (1-based, ascending), outer ones first.

    Blocks and expressions that hold none of the lines are not entered.
    """
    fields = _BLOCKS if only_statements(kinds) else _ALL
    pending: list[Any] = [tree]
    for node in pending:
        kind = node.__class__
        if kind in kinds:
            yield node
        if kind is ast.JoinedStr:  # what it holds has misleading places
            pending.extend(children(node))
            continue
        for name in fields[kind]:
            value = getattr(node, name)
            for one in value if value.__class__ is list else (value,):
                if one is not None and _is_on(one, lines):
                    pending.append(one)


def _is_on(node: Any, lines: Sequence[int]) -> bool:
    try:
        last = node.end_lineno
        first = (node.decorator_list[0] if node.__class__ in _DECORATED and node.decorator_list else node).lineno
    except AttributeError:  # the few without a place
        return True
    place = bisect_left(lines, first)
    return place < len(lines) and lines[place] <= last


class Parents:
    """The node that holds each node of a tree. Only those blocks and expressions are read that lead to the nodes that are asked for."""

    _MOST = 100  # nodes to look for one by one

    def __init__(self, tree: ast.Module) -> None:
        self._tree = tree
        self._known: dict[ast.AST, ast.AST] = {}
        self._read: set[ast.AST] = set()
        self._left = self._MOST

    def get(self, node: ast.AST) -> ast.AST | None:
        """The node that holds another; None for the module and for nodes of other trees."""
        found = self._known.get(node)
        if found is None and self._left and node is not self._tree:
            self._left -= 1
            if not (self._left and hasattr(node, "lineno") and self._look_for(node)):
                self._left = 0  # texts in f-strings have misleading places, few nodes have none: all at once, then
                self._known = parents(self._tree)
            found = self._known.get(node)
        return found

    def _look_for(self, node: Any) -> bool:
        """Go down from the module to a node by its place."""
        start, end = (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)
        pending: list[Any] = [self._tree]
        while pending and node not in self._known:
            holder = pending.pop()
            below = list(children(holder))
            if holder not in self._read:
                self._read.add(holder)
                self._known.update((one, holder) for one in below)
            pending.extend(one for one in below if _may_hold(one, start, end))
        return node in self._known


def _may_hold(node: Any, start: tuple[int, int], end: tuple[int, int]) -> bool:
    """Whether something from ``start`` to ``end`` may stand inside a node: true for the few that have no place."""
    last = getattr(node, "end_lineno", None)
    if last is None:
        return True
    if last < start[0] or (last, node.end_col_offset) < end:
        return False
    first = node.decorator_list[0] if getattr(node, "decorator_list", None) else node
    return (first.lineno, first.col_offset) <= start
