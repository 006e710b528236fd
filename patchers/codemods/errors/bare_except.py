"""Name what is caught: the exceptions that the calls of the block raise where all of them are known, else Exception."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable, Iterator

import libcst as cst

from fixbot.detectors.finding import Finding
from fixbot.detectors.handlers import own_nodes
from fixbot.detectors.knowledge import table
from fixbot.detectors.source import SourceFile
from fixbot.patchers.codemod import Abstain, Target, Tree
from fixbot.patchers.logs import failure_text, log_call, with_log
from fixbot.patchers.patch import Edit

_MOST = 3  # exceptions in one handler; a longer list says no more than Exception
_UNKNOWN = "Exception"
_KNOWN_NODES = (
    *(
        ast.Expr,
        ast.Assign,
        ast.AugAssign,
        ast.AnnAssign,
        ast.Return,
        ast.Pass,
        ast.Continue,
        ast.Break,
        ast.If,
        ast.Delete,
        ast.With,
        ast.withitem,
    ),
    *(
        ast.Call,
        ast.keyword,
        ast.Name,
        ast.Attribute,
        ast.Subscript,
        ast.Slice,
        ast.Constant,
        ast.BinOp,
        ast.UnaryOp,
        ast.BoolOp,
        ast.Compare,
    ),
    *(ast.IfExp, ast.List, ast.Tuple, ast.Dict, ast.Set, ast.JoinedStr, ast.FormattedValue, ast.Await, ast.NamedExpr, ast.Starred),
    *(ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop),
)


def fix(finding: Finding, tree: Tree) -> Iterable[Edit]:
    """``except:`` becomes ``except <types>:``, with a log call where the failure matters and nobody is told."""
    target = tree.target(finding)
    handler = target.node(cst.ExceptHandler)
    block = next(
        (
            node
            for node in ast.walk(target.source.tree)
            if isinstance(node, ast.Try) and any(one.lineno == finding.span.line for one in node.handlers)
        ),
        None,
    )
    if block is None or handler.type is not None:
        raise Abstain("the handler is not where it was")
    raised = [] if finding.facts["told"] else list(_narrowed(block.body, target.source))
    caught = ", ".join(_local_name(target, name) for name in raised) or _UNKNOWN
    new = handler.with_changes(
        type=target.expression(f"({caught})" if len(raised) > 1 else caught),
        whitespace_after_except=cst.SimpleWhitespace(" "),
        whitespace_before_colon=cst.SimpleWhitespace(""),
    )
    if finding.facts["log"]:
        call = log_call(target, finding.span.line, failure_text(target, handler, finding.facts["call"]), expected=bool(raised))
        new = with_log(target, new, call, finding.span.column)
    target.replace(handler, new)
    return target.edits()


def _local_name(target: Target, origin: str) -> str:
    """How the file can name an exception: as it already imports it, through its module, or by one import more."""
    if hasattr(builtins, origin):
        if target.is_bound(origin):
            raise Abstain(f"`{origin}` already means something else in this file")
        return origin
    module, _, name = origin.rpartition(".")
    for local, known in target.source.imports.items():
        if known == origin:
            return local
        if known == module or (module.startswith(known + ".") and known == local and "." not in known and "error" in module):
            return f"{local}{module[len(known) :]}.{name}"
    return target.use_import(module, name)


def _narrowed(body: list[ast.stmt], source: SourceFile) -> Iterator[str]:
    """What a block may raise, those of libraries first; nothing when one of its parts may raise anything, or too many things."""
    found: dict[str, None] = {}
    nodes = list(own_nodes(body))
    called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    for node in nodes:
        raised = [] if id(node) in called else _raised(node, source) if isinstance(node, _KNOWN_NODES) else None
        if raised is None:
            return
        found.update(dict.fromkeys(raised))
    if not found and any(isinstance(node, ast.Attribute) for node in nodes):
        found["AttributeError"] = None
    kept = [name for name in found if not any(_covers(other, name) for other in found if other != name)]
    if len(kept) <= (_MOST if called else _MOST - 1):
        yield from sorted(kept, key=lambda name: ("." not in name, name))


def _covers(wide: str, narrow: str) -> bool:
    parents = {"json.JSONDecodeError": "ValueError", "requests.RequestException": "OSError", "decimal.InvalidOperation": "ArithmeticError"}
    first, second = getattr(builtins, wide, None), getattr(builtins, parents.get(narrow, narrow), None)
    return isinstance(first, type) and isinstance(second, type) and issubclass(second, first)


def _raised(node: ast.AST, source: SourceFile) -> list[str] | None:
    """What one node raises by itself, its parts left out; None when that cannot be told."""
    match node:
        case ast.Call():
            return _raised_by_call(node, source)
        case ast.Await():
            return None
        case ast.Subscript(slice=ast.Slice()):
            return ["TypeError"]
        case ast.Subscript(value=value, ctx=ast.Load() | ast.Del()):
            return _raised_by_item(value, node.slice, source)
        case ast.Attribute(ctx=ast.Load()):
            own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            return [] if own or source.qualified(node) else ["AttributeError"]
        case ast.AugAssign():
            return ["TypeError"]
        case ast.BinOp(op=ast.Div() | ast.FloorDiv(), right=right):
            return ["TypeError"] if isinstance(right, ast.Constant) and right.value else ["TypeError", "ZeroDivisionError"]
        case ast.BinOp(op=ast.Mod()):
            return None
        case ast.BinOp():
            return ["TypeError"]
        case ast.Compare(ops=ops) if any(isinstance(op, ast.Lt | ast.LtE | ast.Gt | ast.GtE | ast.In | ast.NotIn) for op in ops):
            return ["TypeError"]
        case ast.Tuple(ctx=ast.Store()) | ast.List(ctx=ast.Store()):
            return ["ValueError", "TypeError"]
        case ast.withitem(context_expr=ast.Call(func=ast.Name(id="open"))):
            return []
        case ast.withitem() | ast.Starred():
            return None
        case _:
            return []


def _raised_by_item(value: ast.expr, index: ast.expr, source: SourceFile) -> list[str]:
    origin = source.qualified(value)
    if origin == "os.environ":
        return ["KeyError"]
    if origin == "sys.argv":
        return ["IndexError"]
    match index:
        case ast.Constant(value=str()):
            return ["KeyError", "TypeError"]
        case ast.Constant(value=int()) | ast.UnaryOp(operand=ast.Constant(value=int())):
            return ["IndexError", "TypeError"]
        case _:
            return ["LookupError", "TypeError"]


def _raised_by_call(call: ast.Call, source: SourceFile) -> list[str] | None:
    facts = table("bare_except")
    func = call.func
    name = source.qualified(func) or (func.id if isinstance(func, ast.Name) and hasattr(builtins, func.id) else "")
    if name in facts["calls"]:
        return facts["calls"][name]
    if not isinstance(func, ast.Attribute):
        return None
    known = facts["objects"].get(source.made_by(func.value) or "")
    if known and func.attr in known["methods"]:
        return known["raises"]
    return facts["methods"].get(func.attr)
