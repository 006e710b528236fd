"""Put the file into a folder of its own that is removed on every path."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from textwrap import dedent
from typing import cast

import libcst as cst

from fixbot.detectors.finding import Finding, FixKind
from fixbot.detectors.handlers import called_name, own_nodes
from fixbot.detectors.rules.files_memory.predictable_temp_file import written
from fixbot.detectors.source import Function, SourceFile
from fixbot.patchers.codemod import Abstain, Target, Tree
from fixbot.patchers.patch import Edit

_NAMES = ("folder", "temp_folder", "scratch", "scratch_folder")
_WRAPPERS = frozenset({"Path", "PurePath", "PosixPath", "str", "fspath"})
_SAME_PATH = frozenset({"with_suffix", "with_name", "with_stem", "resolve", "absolute", "joinpath", "as_posix", "as_uri"})
_KEEPS = re.compile(
    r"^(?:add_task|submit|delay|apply_async|put(?:_nowait)?|append|appendleft|add|insert|extend|enqueue|schedule|defer|create_task|Popen|"
    r"ensure_future|partial|register|setdefault|update|callback|push|emit|publish|notify|start|set(?:_\w+)?|play|show|startfile|Thread|Process|"
    r"print|echo|secho|log|debug|info|warning|error|exception|critical|success)$"
)
_RUNS = re.compile(r"^(?:run_in_executor|to_thread|gather|shield|wait_for|map|send\w*|reply\w*|write)$")
_TASKS = frozenset({"create_task", "ensure_future", "gather", "shield", "wait_for", "add_task", "submit"})
_LAZY = re.compile(
    r"^(?:scan|open|connect|stream|iter|lazy|memmap|mmap|generate)(?:_|$)|_(?:stream|iter|lazy|response|reader)$|^load_dataset$"
)
_FOLDER = re.compile(r"/(?:private/)?(?:(?:var|usr)/)?tmp/+")
_Assignment = ast.Assign | ast.AnnAssign


def fix(finding: Finding, tree: Tree) -> Iterable[Edit]:
    """``with tempfile.TemporaryDirectory() as folder:`` around the statements from the assignment to the last use of the path."""
    if finding.fix.kind is not FixKind.CODEMOD:
        raise Abstain("the path may be needed elsewhere")
    target = tree.target(finding)
    source = target.source
    statement, function = _assignment(finding, source)
    name = cast(ast.Name, statement.target if isinstance(statement, ast.AnnAssign) else statement.targets[0]).id
    block = source.block(statement)
    first, last = block.index(statement), _last_use(name, block, function)
    _check_uses(name, block[first + 1 : last + 1], source)
    old = _lines(target, block[first], block[last])
    parent = cst.ensure_type(cast(cst.CSTNode, target.parent(old[0])), cst.IndentedBlock)
    body = list(parent.body)
    at = body.index(old[0])
    body[at : at + len(old)] = [_with(target, old, name, statement, finding.facts["file"])]
    target.replace(parent, parent.with_changes(body=body))
    return target.edits()


# What happens to the path (ast)


def _assignment(finding: Finding, source: SourceFile) -> tuple[_Assignment, Function]:
    value = source.node_at(finding.span.line, finding.span.column, ast.Constant, ast.JoinedStr, ast.BinOp, ast.Call)
    statement = source.enclosing(value, ast.stmt) if value else None
    function = source.function(statement) if statement else None
    if not isinstance(statement, _Assignment) or function is None:
        raise Abstain("the path is not kept in a name of a function")
    if any(isinstance(node, ast.Yield | ast.YieldFrom) for node in own_nodes(function.body)):
        raise Abstain("the function is a generator")
    return statement, function


def _last_use(name: str, block: Sequence[ast.stmt], function: Function) -> int:
    """The last statement of the block that needs the file: by its path, or by what was opened from it."""
    everywhere = {node for node in ast.walk(function) if isinstance(node, ast.Name) and node.id == name}
    inside: set[ast.AST] = set()
    names, last = {name}, 0
    for number, statement in enumerate(block):
        nodes = list(ast.walk(statement))
        if any(isinstance(node, ast.Name) and node.id in names for node in nodes):
            last = number
            inside.update(nodes)
            names |= _handles(name, nodes)
    if not everywhere <= inside:
        raise Abstain(f"`{name}` is used outside the block in which it is assigned")
    return last


def _handles(name: str, nodes: Iterable[ast.AST]) -> set[str]:
    """Names for what may still read the file later: open files, images, lazy datasets."""
    return {
        part.id
        for node in nodes
        if isinstance(node, _Assignment) and isinstance(node.value, ast.Call) and _opens(node.value) and _mentions(node.value, name)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        for part in ast.walk(target)
        if isinstance(part, ast.Name)
    }


def _mentions(node: ast.AST, name: str) -> bool:
    return any(isinstance(part, ast.Name) and part.id == name for part in ast.walk(node))


def _opens(call: ast.Call) -> bool:
    name = called_name(call)
    return bool(_LAZY.search(name)) or (name[:1].isupper() and name not in _WRAPPERS)


def _check_uses(name: str, statements: Sequence[ast.stmt], source: SourceFile) -> None:
    """Raises Abstain when the path, or what reads it later, gets out; or when the file is more than scratch of these statements."""
    nodes = [node for statement in statements for node in ast.walk(statement)]
    handles = _handles(name, nodes)
    for node in nodes:
        if isinstance(node, ast.Return) and node.value:
            parts = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value]
            if any(isinstance(part, ast.Name) and part.id in handles for part in parts):
                raise Abstain("what was opened from the file is returned")
    uses = sorted((node for node in nodes if isinstance(node, ast.Name) and node.id == name), key=lambda use: (use.lineno, use.col_offset))
    for use in uses:
        _check_use(use, source)
    writers = [_writer(use, source) for use in uses]
    if not writers or writers[0] is None:
        raise Abstain("the file may hold something that an earlier call has left there")
    if all(writers):
        raise Abstain("the function itself never reads the file: someone else may")


def _writer(use: ast.Name, source: SourceFile) -> ast.Call | None:
    for ancestor in source.ancestors(use):
        if isinstance(ancestor, ast.Call) and any(path is use for path in written(ancestor, source)):
            return ancestor
        if isinstance(ancestor, ast.stmt):
            return None
    return None


def _check_use(use: ast.Name, source: SourceFile) -> None:
    """Walk up from a use to its statement: the path must end in calls that are done with it when they return."""
    current: ast.AST = use
    is_path, lazy = True, False
    for parent in source.ancestors(use):
        match parent:
            case ast.Lambda() | ast.GeneratorExp() | ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                raise Abstain(f"`{use.id}` is used in code that may run later")
            case ast.Call() if current is parent.func:
                is_path = is_path and called_name(parent) in _SAME_PATH
            case ast.Call() if not (is_path and called_name(parent) in _WRAPPERS):
                _check_call(use, parent, is_path or lazy, source)
                lazy = is_path and _opens(parent) and not isinstance(source.parent(parent), ast.withitem | ast.Attribute)
                is_path = False
            case ast.List() | ast.Tuple() | ast.Set() | ast.Dict() if is_path:
                call = source.parent(parent)
                if not isinstance(call, ast.Call) or not (source.qualified(call.func) or "").startswith("subprocess."):
                    raise Abstain(f"`{use.id}` is kept in a collection")
            case ast.Assign() | ast.AnnAssign() | ast.AugAssign() | ast.NamedExpr() | ast.Return() | ast.Await() | ast.Raise() if is_path:
                raise Abstain(f"`{use.id}` leaves the block")
            case ast.Return() if lazy:
                raise Abstain("what was opened from the file is returned")
            case ast.stmt():
                return
            case _:
                pass
        current = parent


def _check_call(use: ast.Name, call: ast.Call, holds: bool, source: SourceFile) -> None:
    """Raises Abstain when a call may need the file after its return. ``holds``: it is given the path or what was opened from it."""
    name, parent = called_name(call), source.parent(call)
    awaited = isinstance(parent, ast.Await)
    if (holds and _KEEPS.match(name)) or (not awaited and (name in _TASKS or (holds and _RUNS.match(name)))):
        raise Abstain(f"`{use.id}` is handed to `{name}`, which may use it later")
    if not holds or awaited:
        return
    if name[:1].isupper() and not isinstance(parent, ast.withitem | ast.Assign | ast.AnnAssign):
        raise Abstain(f"`{use.id}` is kept in a `{name}`")
    for node in source.tree.body:
        if isinstance(node, ast.AsyncFunctionDef) and node.name == name:
            raise Abstain(f"`{name}` runs only when it is awaited")
        if isinstance(node, ast.FunctionDef) and node.name == name and _gives_back(node):
            raise Abstain(f"`{name}` gives `{use.id}` on")


def _gives_back(function: ast.FunctionDef) -> bool:
    """Whether a function returns or stores one of its parameters, or runs only when it is iterated."""
    parameters = {part.arg for part in ast.walk(function.args) if isinstance(part, ast.arg)}
    for node in own_nodes(function.body):
        if isinstance(node, ast.Yield | ast.YieldFrom):
            return True
        stores = isinstance(node, ast.Assign) and not isinstance(node.targets[0], ast.Name)
        value = node.value if isinstance(node, ast.Return | ast.Assign) and (stores or isinstance(node, ast.Return)) else None
        parts = value.elts if isinstance(value, ast.Tuple) else [value]
        if any(isinstance(part, ast.Name) and part.id in parameters for part in parts):
            return True
    return False


# The new code (libcst)


def _lines(target: Target, first: ast.stmt, last: ast.stmt) -> list[cst.BaseStatement]:
    """The lines from one statement to another, which must share theirs with no other."""
    start, end = target.source.span(first), target.source.span(last)
    line = target.parent(target.node(cst.BaseSmallStatement, start))
    block = target.parent(line) if line else None
    if not isinstance(line, cst.SimpleStatementLine) or not isinstance(block, cst.IndentedBlock):
        raise Abstain("the assignment does not stand on a line of its own")
    lines = [one for one in block.body if start.line <= target.span_of(one).line <= end.line]
    if any(isinstance(one, cst.SimpleStatementLine) and len(one.body) > 1 for one in (lines[0], lines[-1])):
        raise Abstain("the statements share their lines with others")
    return lines


def _with(target: Target, lines: Sequence[cst.BaseStatement], name: str, statement: _Assignment, path: str) -> cst.With:
    folder = next((one for one in _NAMES if not target.is_bound(one)), None)
    line = cst.ensure_type(lines[0], cst.SimpleStatementLine)
    small = line.body[0]
    if folder is None or not isinstance(small, cst.Assign | cst.AnnAssign) or small.value is None or statement.value is None:
        raise Abstain("no free name for the folder")
    value = _new_value(target, statement.value, target.code(small.value), folder, path)
    first = line.with_changes(body=[small.with_changes(value=target.expression(value))], leading_lines=())
    rest = list(_without_removal(target, name, lines[1:], ".path.join(" in value))
    code = f"with {target.use_import('tempfile')}.TemporaryDirectory() as {folder}:\n    pass\n"
    shell = cst.ensure_type(target.statements(code)[0], cst.With)
    block = cst.ensure_type(shell.body, cst.IndentedBlock).with_changes(body=[first, *rest])
    return shell.with_changes(body=block, leading_lines=line.leading_lines)


def _new_value(target: Target, value: ast.expr, code: str, folder: str, path: str) -> str:
    """The same file name below ``folder``, put together as the old path was."""
    below = _FOLDER.sub("", path, count=1)
    file = below.rpartition("/")[2]
    if "\\" in code or '"""' in code or "'''" in code or not file:
        raise Abstain("the path is no plain text with a file name")
    if isinstance(value, ast.Constant):
        plain = file.lstrip("_") if re.match(r"_+[a-zA-Z0-9]", file) else file
        quote = code[-1]
        if quote not in "\"'" or code.count(quote) != 2:
            raise Abstain("the path is put together in a way that the fix does not know")
        return f"{target.use_import('os')}.path.join({folder}, {quote}{plain}{quote})"
    texts = [f"{quote}{start}{quote}" for quote in "\"'" for start in ("/tmp", "/tmp/", "/var/tmp", "/var/tmp/")]
    texts += [ast.unparse(node) for node in ast.walk(value) if isinstance(node, ast.Call) and called_name(node) == "gettempdir"]
    found = [text for text in texts if code.count(text) == 1]
    if "/" not in below and isinstance(value, ast.JoinedStr) and _FOLDER.search(code):
        return _FOLDER.sub(f"{{{folder}}}/", code, count=1)
    if "/" not in below and len(found) == 1:
        return code.replace(found[0], folder)
    if isinstance(value, ast.Call) and called_name(value) == "Path" and len(value.args) == 1 and isinstance(value.args[0], ast.Constant):
        quote = code.rstrip(") ")[-1]
        return f"{target.code(cst.ensure_type(target.expression(code), cst.Call).func)}({folder}) / {quote}{file}{quote}"
    raise Abstain("the path is put together in a way that the fix does not know")


def _without_removal(target: Target, name: str, lines: Sequence[cst.BaseStatement], os_stays: bool) -> Iterator[cst.BaseStatement]:
    """The lines without the removal of the file at their end, alone or in a ``finally``: the ``with`` does it now. Comments keep it."""
    *others, last = lines
    yield from others
    if isinstance(last, cst.Try) and last.finalbody and all(_removes(target, name, one, os_stays) for one in last.finalbody.body.body):
        if last.handlers or last.orelse:
            yield last.with_changes(finalbody=None)
        elif isinstance(last.body, cst.IndentedBlock) and not last.body.footer:
            first, *rest = last.body.body
            yield cast(cst.BaseStatement, first.with_changes(leading_lines=[*last.leading_lines, *first.leading_lines]))  # pyright: ignore
            yield from rest
        else:
            yield last
    elif not others or not _removes(target, name, last, os_stays):
        yield last


def _removes(target: Target, name: str, statement: cst.CSTNode, os_stays: bool) -> bool:
    code = target.code(statement)
    if "#" in code:
        return False
    node = ast.parse(dedent(code)).body[0]
    asked = isinstance(node, ast.If) and ast.unparse(node.test) in (f"os.path.exists({name})", f"{name}.exists()")
    if asked and isinstance(node, ast.If) and not node.orelse and len(node.body) == 1:
        node = node.body[0]
    removals = [f"{name}.unlink()", f"{name}.unlink(missing_ok=True)"]
    return ast.unparse(node) in removals + ([f"os.remove({name})", f"os.unlink({name})"] if os_stays else [])
