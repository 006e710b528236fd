"""Places in files and how much of a statement to show there."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from fixbot.detectors.source import Function, SourceFile

LONG = 40
_WHOLE = 12  # longer statements are shown by their head


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Lines ``first`` to ``last`` (1-based, inclusive) of a file, and what they are there for."""

    path: str
    first: int
    last: int
    why: str


def start(node: Function | ast.ClassDef) -> int:
    """The line (1-based) on which a definition begins, decorators included."""
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def whole(path: str, node: ast.stmt, why: str) -> Excerpt:
    """A statement to its end, or the first ``LONG`` lines after its own."""
    return Excerpt(path, node.lineno, min(node.end_lineno or node.lineno, node.lineno + LONG), why)


def head(path: str, node: ast.stmt, why: str) -> Excerpt:
    """A definition's signature, with the first line of its docstring; a short statement whole."""
    end = node.end_lineno or node.lineno
    if isinstance(node, ast.ClassDef):
        last = end if end - node.lineno < LONG else max([node.lineno, *fields(node)])
        return Excerpt(path, start(node), min(last, node.lineno + LONG), why)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        last = end if end - node.lineno < 4 else node.body[0].lineno if ast.get_docstring(node) else node.body[0].lineno - 1
        return Excerpt(path, start(node), max(last, node.lineno), why)
    return Excerpt(path, node.lineno, min(end, node.lineno + _WHOLE), why)


def fields(node: ast.ClassDef) -> Iterator[int]:
    """Where the class's fields end: its assignments before the first method."""
    for statement in node.body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            return
        yield statement.end_lineno or statement.lineno


def definitions(source: SourceFile) -> dict[str, ast.stmt]:
    """Module-level names with the statement that defines them."""
    found: dict[str, ast.stmt] = {}
    for node in source.tree.body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                found[name] = node
            case ast.Assign(targets=targets):
                found.update((target.id, node) for target in targets if isinstance(target, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name)):
                found[name] = node
            case _:
                pass
    return found
