"""Put the file into a folder of its own that is removed on every path."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import cast

import libcst as cst

from fixbot.detectors.finding import Finding
from fixbot.detectors.handlers import called_name, own_nodes
from fixbot.detectors.rules.files_memory.predictable_temp_file import written
from fixbot.detectors.source import Function, SourceFile
from fixbot.patchers.codemod import Abstain, Target, Tree
from fixbot.patchers.patch import Edit

_NAMES = ("folder", "temp_folder", "scratch", "scratch_folder")
_WRAPPERS = frozenset({"Path", "PurePath", "PosixPath", "str", "fspath"})
_REMOVERS = frozenset({"remove", "unlink"})
_SAME_PATH = frozenset({"with_suffix", "with_name", "with_stem", "resolve", "absolute", "joinpath", "as_posix", "abspath", "realpath", "as_uri"})
_KEEPS = re.compile(
    r"^(?:add_task|submit|delay|apply_async|send\w*|put(?:_nowait)?|append|appendleft|add|insert|extend|enqueue|schedule|defer|create_task|"
    r"ensure_future|partial|register|setdefault|update|callback|push|emit|publish|notify|start|run_in_executor|to_thread|gather|map|"
    r"print|echo|secho|write|log|debug|info|warning|error|exception|critical|reply\w*|success|set\w*)$"
)
_LAZY = re.compile(r"^(?:scan|open|stream|iter|lazy|memmap|mmap|generate|from_file|get_reader|imiter)(?:_|$)|_(?:stream|iter|lazy|response|reader)$|^load_dataset$")
_FOLDER = re.compile(r"/(?:private/)?(?:(?:var|usr)/)?tmp/+")


def fix(finding: Finding, tree: Tree) -> Iterable[Edit]:
    """``with tempfile.TemporaryDirectory() as folder:`` around the statements from the assignment to the last use of the path."""
    target = tree.target(finding)
    source = target.source
    statement, function = _assignment(finding, source)
    name = cast(ast.Name, statement.target if isinstance(statement, ast.AnnAssign) else statement.targets[0]).id
    block = _block(statement, source)
    first, last = block.index(statement), _last_use(name, block, function, source)
    uses = _check_uses(name, block[first + 1 : last + 1], source)
    _check_scratch(name, uses, source)
    folder = next((one for one in _NAMES if not target.is_bound(one)), None)
    if folder is None:
        raise Abstain("no free name for the folder")
    cleanup = _Cleanup(name)
    inner = _statements(target, block[first], block[last])
    kept = [inner[0], *cleanup.without(inner[1:])]
    new = _with(target, kept, folder, statement, source)
    parent = target.parent(inner[0])
    if not isinstance(parent, cst.IndentedBlock):
        raise Abstain("the assignment stands at the top of the file or on a line with others")
    body = list(parent.body)
    at = body.index(inner[0])
    body[at : at + len(inner)] = [new]
    target.replace(parent, parent.with_changes(body=body))
    return target.edits()


# What happens to the path (ast)


def _assignment(finding: Finding, source: SourceFile) -> tuple[ast.Assign | ast.AnnAssign, Function]:
    value = source.node_at(finding.span.line, finding.span.column, ast.Constant, ast.JoinedStr, ast.BinOp, ast.Call)
    statement = source.enclosing(value, ast.stmt) if value else None
    function = source.function(statement) if statement else None
    if not isinstance(statement, ast.Assign | ast.AnnAssign) or function is None:
        raise Abstain("the path is not kept in a name of a function")
    if any(isinstance(node, ast.Yield | ast.YieldFrom) for node in own_nodes(function.body)):
        raise Abstain("the function is a generator")
    return statement, function


def _block(statement: ast.stmt, source: SourceFile) -> list[ast.stmt]:
    parent = source.parent(statement)
    for field in ("body", "orelse", "finalbody"):
        block = getattr(parent, field, None)
        if isinstance(block, list) and statement in block:
            return cast("list[ast.stmt]", block)
    raise Abstain("the assignment is not in a plain block")


def _last_use(name: str, block: Sequence[ast.stmt], function: Function, source: SourceFile) -> int:
    """The last statement of the block that needs the file: by its path, or by what was opened from it."""
    everywhere = {node for node in ast.walk(function) if isinstance(node, ast.Name) and node.id == name}
    inside: set[ast.AST] = set()
    names, last = {name}, 0
    for number, statement in enumerate(block):
        nodes = list(ast.walk(statement))
        if any(isinstance(node, ast.Name) and node.id in names for node in nodes):
            last = number
            inside.update(nodes)
            names |= set(_handles(name, nodes, source))
    if not everywhere <= inside:
        raise Abstain(f"`{name}` is used outside the block in which it is assigned")
    return last


def _handles(name: str, nodes: Iterable[ast.AST], source: SourceFile) -> Iterator[str]:
    """Names for what may still read the file later: files, images, datasets."""
    for node in nodes:
        if not isinstance(node, ast.Assign | ast.AnnAssign) or not isinstance(node.value, ast.Call) or not _opens(node.value):
            continue
        if any(isinstance(part, ast.Name) and part.id == name for part in ast.walk(node.value)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (part.id for one in targets for part in ast.walk(one) if isinstance(part, ast.Name))


def _opens(call: ast.Call) -> bool:
    name = called_name(call)
    return bool(_LAZY.search(name)) or (name[:1].isupper() and name not in _WRAPPERS)


def _check_uses(name: str, statements: Sequence[ast.stmt], source: SourceFile) -> list[ast.Name]:
    """Every use of the path, in order. Raises Abstain when the path or something that reads it later gets out of the block."""
    uses: list[ast.Name] = []
    handles: set[str] = set()
    for statement in statements:
        nodes = list(ast.walk(statement))
        handles |= set(_handles(name, nodes, source))
        uses += [node for node in nodes if isinstance(node, ast.Name) and node.id == name]
        for node in nodes:
            leaving = node.value if isinstance(node, ast.Return) else None
            if leaving and any(isinstance(part, ast.Name) and part.id in handles for part in _parts(leaving)):
                raise Abstain("what was opened from the file is returned")
    for use in uses:
        _check_use(use, source)
    return sorted(uses, key=lambda use: (use.lineno, use.col_offset))


def _parts(value: ast.expr) -> list[ast.expr]:
    return list(value.elts) if isinstance(value, ast.Tuple) else [value]


def _check_use(use: ast.Name, source: SourceFile) -> None:
    """Walk up from a use to its statement: the path must end in calls that are done with it when they return."""
    current: ast.AST = use
    is_path = True
    lazy = False
    for parent in source.ancestors(use):
        match parent:
            case ast.Lambda() | ast.GeneratorExp() | ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                raise Abstain(f"`{use.id}` is used in code that may run later")
            case ast.Call():
                if current is parent.func:
                    is_path = is_path and called_name(parent) in _SAME_PATH
                elif not (is_path and called_name(parent) in _WRAPPERS):
                    _check_call(use, parent, source)
                    lazy = is_path and _opens(parent) and not isinstance(source.parent(parent), ast.withitem | ast.Attribute)
                    is_path = False
            case ast.List() | ast.Tuple() | ast.Set() | ast.Dict() if is_path:
                call = source.parent(parent)
                if not isinstance(call, ast.Call) or not (source.qualified(call.func) or "").startswith("subprocess."):
                    raise Abstain(f"`{use.id}` is kept in a collection")
            case ast.Assign() | ast.AnnAssign() | ast.AugAssign() | ast.NamedExpr() | ast.Return() | ast.Await() if is_path:
                raise Abstain(f"`{use.id}` leaves the block")
            case ast.Return() if lazy:
                raise Abstain("what was opened from the file is returned")
            case _:
                pass
        if isinstance(parent, ast.stmt):
            return
        current = parent


def _check_call(use: ast.Name, call: ast.Call, source: SourceFile) -> None:
    name = called_name(call)
    if isinstance(source.parent(call), ast.Await):
        return
    if name == "Popen" or _KEEPS.match(name):
        raise Abstain(f"`{use.id}` is handed to `{name}`, which may use it later")
    if name[:1].isupper() and not isinstance(source.parent(call), ast.withitem | ast.Assign | ast.AnnAssign):
        raise Abstain(f"`{use.id}` is kept in a `{name}`")
    if any(isinstance(node, ast.AsyncFunctionDef) and node.name == name for node in source.tree.body):
        raise Abstain(f"`{name}` runs only when it is awaited")


def _check_scratch(name: str, uses: Sequence[ast.Name], source: SourceFile) -> None:
    """The file must be made anew at its first use and be done with at its last. Raises Abstain."""
    writes = [use for use in uses if _is_written(use, source)]
    if not writes or writes[0] is not uses[0]:
        raise Abstain("the file may hold something that an earlier call has left there")
    opened = source.enclosing(writes[0], ast.Call)
    if opened and any(isinstance(one, ast.Constant) and one.value in ("a", "ab", "a+", "at", "r+", "r+b", "rb+") for one in opened.args):
        raise Abstain("the function adds to what an earlier call has left in the file")
    if len(writes) == len(uses):
        raise Abstain("the function itself never reads the file: someone else may")


def _is_written(use: ast.Name, source: SourceFile) -> bool:
    for ancestor in source.ancestors(use):
        if isinstance(ancestor, ast.stmt):
            return False
        if isinstance(ancestor, ast.Call) and any(path is use for path in written(ancestor, source)):
            return True
    return False


# The new code (libcst)


def _statements(target: Target, first: ast.stmt, last: ast.stmt) -> list[cst.BaseStatement]:
    """The statement lines from one statement to another, which must begin and end lines of their own."""
    start, end = target.source.span(first), target.source.span(last)
    node = target.node(cst.BaseSmallStatement, start)
    line = target.parent(node)
    block = target.parent(line) if line else None
    if not isinstance(line, cst.SimpleStatementLine) or len(line.body) > 1 or not isinstance(block, cst.IndentedBlock):
        raise Abstain("the assignment shares its line with other statements")
    body = cast("list[cst.BaseStatement]", list(block.body))
    inner = [one for one in body if start.line <= target.span_of(one).line <= end.line]
    if isinstance(inner[-1], cst.SimpleStatementLine) and len(inner[-1].body) > 1:
        raise Abstain("the last use shares its line with other statements")
    return inner


def _with(
    target: Target, kept: Sequence[cst.BaseStatement], folder: str, statement: ast.Assign | ast.AnnAssign, source: SourceFile
) -> cst.BaseStatement:
    line = cst.ensure_type(kept[0], cst.SimpleStatementLine)
    old = cst.ensure_type(line.body[0], cst.Assign if isinstance(statement, ast.Assign) else cst.AnnAssign)
    value = statement.value
    if value is None or old.value is None:
        raise Abstain("nothing is assigned")
    new = old.with_changes(value=target.expression(_new_value(target, value, target.code(old.value), folder, source)))
    temporary = target.use_import("tempfile")
    shell = cst.ensure_type(target.statements(f"with {temporary}.TemporaryDirectory() as {folder}:\n    pass\n")[0], cst.With)
    body = [line.with_changes(body=[new], leading_lines=()), *kept[1:]]
    return shell.with_changes(body=cst.ensure_type(shell.body, cst.IndentedBlock).with_changes(body=body, indent=None), leading_lines=line.leading_lines)


def _new_value(target: Target, value: ast.expr, code: str, folder: str, source: SourceFile) -> str:
    """The same path below ``folder``, built as the old one was."""
    if "gettempdir" in code:
        return _replaced(code, next(ast.unparse(node) for node in ast.walk(value) if _is_gettempdir(node, source)), folder)
    if isinstance(value, ast.JoinedStr):
        return _FOLDER.sub(f"{{{folder}}}/", code, count=1)
    if isinstance(value, ast.Constant):
        return _below(target, str(value.value), code, folder)
    match value:
        case ast.Call(args=[ast.Constant(value=str(text)), *rest]) | ast.BinOp(left=ast.Call(args=[ast.Constant(value=str(text)), *rest])):
            if _FOLDER.fullmatch(text + "/"):
                quoted = next((quote + text + quote for quote in "\"'" if quote + text + quote in code), "")
                return _replaced(code, quoted, folder)
            name = text.rpartition("/")[2]
            quoted = next((quote + text + quote for quote in "\"'" if quote + text + quote in code), "")
            if isinstance(value, ast.Call) and not rest and name:
                return _replaced(code, quoted, f"{folder}, {quoted[:1]}{name}{quoted[:1]}")
        case _:
            pass
    raise Abstain("the path is put together in a way that the fix does not know")


def _below(target: Target, text: str, code: str, folder: str) -> str:
    name = text.rpartition("/")[2]
    quote = code.lstrip("rRuU")[:1]
    if not name or quote * 3 in code or "\\" in code:
        raise Abstain("the path is no plain text with a file name")
    plain = name.lstrip("_") if re.match(r"_+\w", name) else name
    return f"{target.use_import('os')}.path.join({folder}, {quote}{plain}{quote})"


def _is_gettempdir(node: ast.AST, source: SourceFile) -> bool:
    return isinstance(node, ast.Call) and source.qualified(node.func) == "tempfile.gettempdir"


def _replaced(code: str, old: str, new: str) -> str:
    if not old or code.count(old) != 1:
        raise Abstain("the path is put together in a way that the fix does not know")
    return code.replace(old, new)


class _Cleanup:
    """Drops the statements that removed the file at the end, which the ``with`` does now."""

    def __init__(self, name: str) -> None:
        self._name = name

    def without(self, statements: Sequence[cst.BaseStatement]) -> list[cst.BaseStatement]:
        """The statements without a removal at their end, and without a ``try`` whose ``finally`` only removes."""
        kept = list(statements)
        if len(kept) > 1 and self._removes(kept[-1]):
            kept.pop()
        return kept

    def _removes(self, statement: cst.BaseStatement) -> bool:
        return False
