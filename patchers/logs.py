"""Log calls in the style of the file: its own logger where it has one, else a new ``logger`` at module level."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import libcst as cst

from fixbot.detectors.source import SourceFile, dotted
from fixbot.patchers.codemod import Abstain, Target

_LEVELS = frozenset({"debug", "info", "warning", "warn", "error", "exception", "critical"})
_FACTORIES = frozenset({"getLogger", "get_logger", "get_task_logger", "getChild", "bind"})
_ATTRIBUTES = frozenset({"logger", "_logger", "log", "_log"})
_WIDTH = 100


@dataclass(frozen=True, slots=True)
class _Logger:
    name: str
    standard: bool  # whether it is of the standard library: other loggers may not know ``exc_info``


def log_call(target: Target, at: int, message: str, *, expected: bool = False) -> str:
    """The code of a call that logs the error being handled with its traceback, for a handler at line ``at``.

    ``expected`` errors are warnings, others errors. Asks the target for the import and the logger that are missing. Raises Abstain where a
    logger would not be bound yet or its name means something else.
    """
    logger = _find(target.source, at)
    if logger is None:
        logger = _make(target, at)
    quote = "'" if target.source.text.count("'") > 2 * target.source.text.count('"') else '"'
    text = quote + message.replace("\\", "\\\\").replace(quote, "\\" + quote) + quote
    if expected and logger.standard:
        return f"{logger.name}.warning({text}, exc_info=True)"
    return f"{logger.name}.exception({text})"


def _find(source: SourceFile, at: int) -> _Logger | None:
    around = _around(source.tree, at)
    local = {name for node in around if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) for name in _locals(node)}
    module = {name: standard for name, line, standard in _module_loggers(source) if name not in local and (around or line < at)}
    if module:
        used = [name for name in _used(around[-1:] or [source.tree]) if name in module] + [
            name for name in _used([source.tree]) if name in module
        ]
        name = (used or list(module))[0]
        return _Logger(name, module[name])
    own = _own_logger(around)
    if own:
        return _Logger(own, False)
    plain = [
        name
        for name, origin in source.imports.items()
        if origin == "logging" and any(f"{name}.{level}" in _calls(source.tree) for level in _LEVELS)
    ]
    return _Logger(plain[0], True) if plain and plain[0] not in local and _bound_at_top(source, plain[0], at, bool(around)) else None


def _bound_at_top(source: SourceFile, name: str, at: int, later: bool) -> bool:
    return any(
        isinstance(node, ast.Import) and any((alias.asname or alias.name) == name for alias in node.names) and (later or node.lineno < at)
        for node in source.tree.body
    )


def _around(tree: ast.Module, line: int) -> list[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    """The functions and classes around a line, outermost first."""
    found: list[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.lineno < line <= (node.end_lineno or 0):
            found.append(node)
    return sorted(found, key=lambda node: node.lineno)


def _locals(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    names = {node.id for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    names |= {node.arg for node in ast.walk(function) if isinstance(node, ast.arg)}
    shared = {name for node in ast.walk(function) if isinstance(node, ast.Global) for name in node.names}
    return names - shared


def _module_loggers(source: SourceFile) -> list[tuple[str, int, bool]]:
    """Name, line and whether it is of ``logging``, for everything at module level that is a logger by its making or its name."""
    found: list[tuple[str, int, bool]] = []
    used = set(_used([source.tree]))
    for node in source.tree.body:
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=ast.Call() as call)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.Call() as call)
            ):
                made = (dotted(call.func) or "").rpartition(".")[2]
                if made in _FACTORIES:
                    found.append((name, node.lineno, (source.qualified(call.func) or "") == "logging.getLogger"))
            case ast.ImportFrom():
                for alias in node.names:
                    name = alias.asname or alias.name
                    known = name.strip("_").casefold() == "logger" and name in used
                    if known or f"{name}.exception" in _calls(source.tree):
                        found.append((name, node.lineno, False))
            case _:
                pass
    return found


def _used(nodes: Sequence[ast.AST]) -> list[str]:
    """The plain names on which log methods are called, in source order of their first use."""
    found: dict[str, None] = {}
    for root in nodes:
        for node in ast.walk(root):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=level)) if level in _LEVELS:
                    found[name] = None
                case _:
                    pass
    return list(found)


def _calls(tree: ast.AST) -> set[str]:
    return {dotted(node.func) or "" for node in ast.walk(tree) if isinstance(node, ast.Call)}


def _own_logger(around: Sequence[ast.AST]) -> str | None:
    """``self.logger`` where the class logs with it and the line is in one of its methods."""
    for owner, function in itertools.pairwise(around):
        if (
            not isinstance(owner, ast.ClassDef)
            or not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
            or not function.args.args
        ):
            continue
        first = function.args.args[0].arg
        if first != "self" or function is not around[-1]:
            continue
        for call in sorted(_calls(owner)):
            head, _, level = call.rpartition(".")
            if level in _LEVELS and head.startswith("self.") and head[5:] in _ATTRIBUTES:
                return head
    return None


def _make(target: Target, at: int) -> _Logger:
    source = target.source
    imports = [node for node in source.tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    if not _around(source.tree, at) and imports and at < imports[-1].lineno:
        raise Abstain("the handler runs before a logger could be defined below the imports")
    name = next((name for name in ("logger", "log", "_logger") if not target.is_bound(name)), None)
    if name is None:
        raise Abstain("every usual name for a logger means something else in this file")
    logging = target.use_import("logging")
    target.define(f"{name} = {logging}.getLogger(__name__)")
    return _Logger(name, True)


def with_log(target: Target, handler: cst.ExceptHandler, call: str, column: int) -> cst.ExceptHandler:
    """The handler, which begins at a column, with a log call as its first statement; a lone ``pass`` makes room for it."""
    body = handler.body
    (statement,) = target.statements(call + "\n")
    line = cst.ensure_type(statement, cst.SimpleStatementLine)
    if isinstance(body, cst.SimpleStatementSuite):
        if _is_pass(body.body):
            width = len(target.code(handler).splitlines()[0]) + column + len(call) - len("pass")
            if width <= _WIDTH:
                return handler.with_changes(body=body.with_changes(body=line.body))
        rest = (
            []
            if _is_pass(body.body)
            else [cst.SimpleStatementLine([part.with_changes(semicolon=cst.MaybeSentinel.DEFAULT)]) for part in body.body]
        )
        return handler.with_changes(body=cst.IndentedBlock(body=[line, *rest], header=body.trailing_whitespace))
    block = cst.ensure_type(body, cst.IndentedBlock)
    first = block.body[0]
    if isinstance(first, cst.SimpleStatementLine) and _is_pass(first.body):
        line = line.with_changes(leading_lines=first.leading_lines, trailing_whitespace=first.trailing_whitespace)
        return handler.with_changes(body=block.with_changes(body=[line, *block.body[1:]]))
    return handler.with_changes(body=block.with_changes(body=[line, *block.body]))


def _is_pass(body: Sequence[cst.BaseSmallStatement]) -> bool:
    match body:
        case [cst.Pass()] | [cst.Expr(value=cst.Ellipsis())]:
            return True
        case _:
            return False


def failure_text(target: Target, handler: cst.ExceptHandler, call: str) -> str:
    """What a log record says: the call that failed where the block makes just one, else the function."""
    if call:
        return f"{call}() failed"
    function = target.function(handler)
    return f"Error in {function.name.value}() ignored" if function else "Error ignored"
