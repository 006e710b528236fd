"""Close the connection on every path: ``closing`` beside the transaction's ``with``, or ``try`` and ``finally``."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from typing import cast

import libcst as cst

from fixbot.detectors.finding import Finding, FixKind
from fixbot.detectors.handlers import called_name
from fixbot.detectors.rules.lifecycle.connection_not_closed import between_open_and_close, is_close
from fixbot.patchers.codemod import Abstain, Target, Tree
from fixbot.patchers.patch import Edit


def fix(finding: Finding, tree: Tree) -> Iterable[Edit]:
    """``with connect() as conn`` becomes ``with closing(connect()) as conn, conn``; a ``close`` at the end goes into a ``finally``."""
    if finding.fix.kind is not FixKind.CODEMOD:
        raise Abstain("the connection or a cursor may be needed later")
    target = tree.target(finding)
    call = target.node(cst.Call)
    item = target.parent(call)
    if isinstance(item, cst.WithItem):
        _close_at_end(target, item, call)
    else:
        _close_in_finally(target, finding)
    return target.edits()


def _close_at_end(target: Target, item: cst.WithItem, call: cst.Call) -> None:
    """``closing`` closes the connection, the connection itself still commits or rolls back: both are needed."""
    block = cst.ensure_type(cast(cst.CSTNode, target.parent(item)), cst.With)
    name = item.asname.name if item.asname else None
    if not isinstance(name, cst.Name):
        raise Abstain("the connection is bound to no plain name")
    several = isinstance(block.lpar, cst.LeftParen)
    if several and len(block.items) == 1:
        raise Abstain("the single item stands in parentheses")
    comma = (
        item.comma
        if isinstance(item.comma, cst.Comma)
        else next((one.comma for one in block.items if isinstance(one.comma, cst.Comma)), None)
    )
    glue = comma or cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
    closing = cst.Call(cst.parse_expression(_closing(target)), [cst.Arg(call)])
    items: list[cst.WithItem] = []
    for one in block.items:
        if one is item:
            items += [item.with_changes(item=closing, comma=glue), cst.WithItem(cst.Name(name.value), comma=item.comma)]
        else:
            items.append(one)
    target.replace(block, block.with_changes(items=items))


def _closing(target: Target) -> str:
    imported = {origin for local, origin in target.source.imports.items() if local == origin}
    if "contextlib" in imported and "contextlib.closing" not in target.source.imports.values():
        return f"{target.use_import('contextlib')}.closing"
    return target.use_import("contextlib", "closing")


def _close_in_finally(target: Target, finding: Finding) -> None:
    source = target.source
    call = source.node_at(finding.span.line, finding.span.column, ast.Call)
    statement = source.enclosing(call, ast.stmt) if call else None
    bound = statement.targets[0] if isinstance(statement, ast.Assign) else getattr(statement, "target", None)
    if statement is None or not isinstance(bound, ast.Name):
        raise Abstain("the connection is bound to no plain name")
    block = source.block(statement)
    between = between_open_and_close(block, statement, bound.id)
    if not between:
        raise Abstain("the connection is not closed in the block that opens it")
    close = block[block.index(between[-1]) + 1]
    lines = _lines(target, statement, close)
    closers = [one for part in between for one in ast.walk(part) if isinstance(one, ast.stmt) and is_close(one, bound.id)]
    removed = {_line_of(target, one) for one in closers if _is_before_exit(one, source.block(one))}
    if len(removed) < len(closers):
        raise Abstain("the connection is closed in several places")
    body = [_without(line, removed) for line in lines[1:-1]]
    parent = cst.ensure_type(cast(cst.CSTNode, target.parent(lines[0])), cst.IndentedBlock)
    statements = list(parent.body)
    at = statements.index(lines[0])
    statements[at + 1 : at + len(lines)] = _guarded(target, body, lines[-1])
    target.replace(parent, parent.with_changes(body=statements))


def _is_before_exit(statement: ast.stmt, block: Sequence[ast.stmt]) -> bool:
    after = block[block.index(statement) + 1 :]
    first = after[0] if after else None
    call = first.value if isinstance(first, ast.Expr) else None
    return isinstance(first, ast.Return | ast.Raise) or (isinstance(call, ast.Call) and called_name(call) in ("abort", "exit"))


def _line_of(target: Target, statement: ast.stmt) -> cst.CSTNode:
    line = target.parent(target.node(cst.BaseSmallStatement, target.source.span(statement)))
    if not isinstance(line, cst.SimpleStatementLine) or len(line.body) > 1:
        raise Abstain("statements share their lines with others")
    return line


def _lines(target: Target, first: ast.stmt, last: ast.stmt) -> list[cst.BaseStatement]:
    start = _line_of(target, first)
    block = target.parent(start)
    if not isinstance(block, cst.IndentedBlock):
        raise Abstain("the connection is not opened in a block of a function")
    end = target.source.span(last).line
    lines = [one for one in block.body if target.span_of(start).line <= target.span_of(one).line <= end]
    if any(isinstance(one, cst.SimpleStatementLine) and len(one.body) > 1 for one in lines):
        raise Abstain("statements share their lines with others")
    return lines


class _Without(cst.CSTTransformer):
    def __init__(self, removed: set[cst.CSTNode]) -> None:
        super().__init__()
        self._removed = removed

    def leave_SimpleStatementLine(
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.SimpleStatementLine | cst.RemovalSentinel:
        return cst.RemoveFromParent() if original_node in self._removed else updated_node


def _without(line: cst.BaseStatement, removed: set[cst.CSTNode]) -> cst.BaseStatement:
    return cast(cst.BaseStatement, line.visit(_Without(removed))) if removed else line


def _guarded(target: Target, body: Sequence[cst.BaseStatement], close: cst.BaseStatement) -> Iterator[cst.BaseStatement]:
    """``try: body finally: close``; where the body is one ``try`` without ``finally``, it gets that one."""
    blank, first = _split(body[0])
    _, last = _split(close)
    finally_ = cst.Finally(cst.IndentedBlock([last]))
    if len(body) == 1 and isinstance(body[0], cst.Try) and body[0].finalbody is None:
        yield body[0].with_changes(finalbody=finally_)
        return
    shell = cst.ensure_type(target.statements("try:\n    pass\nfinally:\n    pass\n")[0], cst.Try)
    yield shell.with_changes(body=cst.IndentedBlock([first, *body[1:]]), finalbody=finally_, leading_lines=blank)


def _split(statement: cst.BaseStatement) -> tuple[list[cst.EmptyLine], cst.BaseStatement]:
    """The empty lines above a statement, and the statement without them."""
    lines = list(cast("Sequence[cst.EmptyLine]", getattr(statement, "leading_lines", ())))
    blank = [line for line in lines if line.comment is None]
    rest = [line for line in lines if line.comment is not None]
    return blank, statement.with_changes(leading_lines=rest)
