"""One fast pass over a syntax tree for all rules together."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator
from functools import cache

_FIELD = re.compile(r"(\w+)[*?]* (\w+)[,)]")  # `expr? returns,` in the grammar that each node class has as its docstring
_STATEMENTS = frozenset({"stmt", "excepthandler", "match_case"})
_LEAVES = frozenset(
    {"identifier", "string", "int", "constant", "object", "expr_context", "boolop", "operator", "unaryop", "cmpop", "type_ignore"}
)
_STATEMENT_CLASSES = (ast.stmt, ast.ExceptHandler, ast.match_case, ast.Module)


def walk(tree: ast.Module, wanted: Collection[type[ast.AST]]) -> Iterator[ast.AST]:
    """Every node of exactly one of the wanted classes, in no particular order.

    Contexts and operators are not visited, names only when wanted, expressions only when one of the wanted classes is not a statement.
    """
    kinds = frozenset(wanted)
    fields = _statement_fields if all(issubclass(kind, _STATEMENT_CLASSES) for kind in kinds) else _fields
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
        for name in fields(kind):
            value = getattr(node, name)
            if value.__class__ is list:
                extend(value)
            elif value is not None and value.__class__ not in ignored:
                push(value)


@cache
def _fields(kind: type[ast.AST]) -> tuple[str, ...]:
    return tuple(name for type_, name in _grammar(kind) if type_ not in _LEAVES)


@cache
def _statement_fields(kind: type[ast.AST]) -> tuple[str, ...]:
    return tuple(name for type_, name in _grammar(kind) if type_ in _STATEMENTS)


def _grammar(kind: type[ast.AST]) -> list[tuple[str, str]]:
    return _FIELD.findall(kind.__doc__ or "")
