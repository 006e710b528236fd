"""Check that there is a row: leave as the function leaves elsewhere, or skip exactly what needs the row."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence
from typing import cast

import libcst as cst

from fixbot.detectors.finding import Finding
from fixbot.detectors.rules.data_schema.unguarded_first_item import may_be_none, path_parameter, returns_nothing
from fixbot.detectors.source import Function, SourceFile, dotted
from fixbot.patchers.codemod import Abstain, Target, Tree
from fixbot.patchers.patch import Edit

_CHANGERS = frozenset({"append", "add", "update", "extend", "insert", "setdefault", "put"})
_LEAVES = (ast.Return, ast.Break, ast.Continue, ast.Yield, ast.YieldFrom)
_Access = cst.Subscript | cst.Attribute


def fix(finding: Finding, tree: Tree) -> Iterable[Edit]:
    """A function that may return None does so; one that returns nothing goes on without what depends on the row."""
    target = tree.target(finding)
    is_index = target.source.segment(target.span).endswith("]")
    access = target.node(cst.Subscript) if is_index else target.node(cst.Attribute)
    line = target.enclosing(access, cst.BaseStatement)
    function = _function(target)
    if not isinstance(line, cst.SimpleStatementLine) or len(line.body) != 1 or function is None:
        raise Abstain("the row is not taken in a statement of its own")
    if parameter := path_parameter(function, finding.facts["filter"]):
        _leave(finding, target, access, line, function, _not_found(target.source, parameter))
    elif function.returns is not None and may_be_none(function.returns):
        _leave(finding, target, access, line, function, "return None")
    elif returns_nothing(function) and finding.facts["name"]:
        _skip_dependents(finding, target, access, line, function)
    else:
        raise Abstain("what the function should do without a row cannot be read off it")
    return target.edits()


def _function(target: Target) -> Function | None:
    line = target.span.line
    around = [
        node
        for node in ast.walk(target.source.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.lineno <= line <= (node.end_lineno or 0)
    ]
    return max(around, key=lambda node: node.lineno, default=None)


# A function that says how it ends without a row


def _not_found(source: SourceFile, parameter: str) -> str:
    """The module's own ``raise HTTPException(404, ...)`` that names what the path parameter stands for. Raises Abstain."""
    wanted = parameter.removesuffix("_id").replace("_", " ") + " not found"
    found: set[str] = set()
    for node in ast.walk(source.tree):
        match node:
            case ast.Raise(exc=ast.Call(func=func, keywords=keywords), cause=None) if (dotted(func) or "").endswith("HTTPException"):
                values = {keyword.arg: ast.unparse(keyword.value) for keyword in keywords}
                detail = values.get("detail", "")[1:-1].casefold().rstrip(".!")
                if re.search(r"\b404$|HTTP_404_NOT_FOUND$", values.get("status_code", "")) and detail == wanted:
                    found.add(source.segment(source.span(node)))
            case _:
                pass
    if len(found) != 1 or "\n" in (code := found.pop()):
        raise Abstain(f"no one line of the module says how it answers without the {wanted.removesuffix(' not found')}")
    return code


def _leave(finding: Finding, target: Target, access: _Access, line: cst.SimpleStatementLine, function: Function, leave: str) -> None:
    node: cst.CSTNode = line
    while not isinstance(node, cst.FunctionDef):
        if isinstance(node, cst.For | cst.While):
            raise Abstain("inside a loop, leaving would drop the rest of the work")
        parent = target.parent(node)
        if parent is None:
            raise Abstain("the row is not taken in a function")
        node = parent
    _check_taken_first(target, access, line, named=bool(finding.facts["name"]))
    row: bool = finding.facts["row"]
    if finding.facts["name"]:
        guard = target.statements(f"if {_missing(target.code(access.value), row)}:\n    {leave}\n")
        target.replace(line, cst.FlattenSentinel([*guard, line]))
        return
    name = "row" if row else "rows"
    if any(
        isinstance(one, ast.Name | ast.arg) and (one.id if isinstance(one, ast.Name) else one.arg) == name for one in ast.walk(function)
    ):
        raise Abstain(f"`{name}` is taken in this function")
    value = access.value.with_changes(lpar=[], rpar=[])
    try:
        target.expression(target.code(value))
    except cst.ParserSyntaxError:
        raise Abstain("the query is wrapped in the parentheses of a larger expression") from None
    bound = cst.SimpleStatementLine([cst.Assign([cst.AssignTarget(cst.Name(name))], value)], leading_lines=line.leading_lines)
    rest = cst.ensure_type(line.deep_replace(access.value, cst.Name(name)), cst.SimpleStatementLine).with_changes(leading_lines=[])
    target.replace(line, cst.FlattenSentinel([bound, *target.statements(f"if {_missing(name, row)}:\n    {leave}\n"), rest]))


def _missing(code: str, row: bool) -> str:
    return f"{code} is None" if row else f"not {code}"


def _check_taken_first(target: Target, access: _Access, line: cst.SimpleStatementLine, *, named: bool) -> None:
    """Nothing of the statement may run before the row is taken (for a query that moves), or instead of it."""
    node: cst.CSTNode = access
    while (parent := target.parent(node)) is not line and parent is not None:
        leads = isinstance(parent, cst.Subscript | cst.Attribute) and parent.value is node
        leads = leads or (
            isinstance(parent, cst.Call) and (parent.func is node or (len(parent.args) == 1 and isinstance(parent.func, cst.Name)))
        )
        if not leads and not isinstance(parent, cst.Arg | cst.Assign | cst.AnnAssign | cst.Return):
            later = isinstance(parent, cst.Lambda | cst.BaseComp | cst.CompFor | cst.IfExp | cst.BooleanOperation)
            if later or not named:
                raise Abstain("the row is taken inside a larger expression")
        node = parent


# A function that returns nothing


def _skip_dependents(finding: Finding, target: Target, access: _Access, line: cst.SimpleStatementLine, function: Function) -> None:
    result: str = finding.facts["name"]
    name = _plain_name(line, result)
    block = target.parent(line)
    if not isinstance(block, cst.IndentedBlock):
        raise Abstain("the row is not taken in an indented block")
    following = block.body[block.body.index(line) + 1 :]
    run = _run(following, {name, result})
    inner = _inner(run, {name, result})
    found = _run(inner, {name, result}) if inner else run
    _check_inside(name, result, line, found, function)
    row: bool = finding.facts["row"]
    code = target.code(access.value)
    holder = target.parent(block)
    if len(run) == len(following) and not inner and isinstance(holder, cst.FunctionDef | cst.For):
        leave = "return" if isinstance(holder, cst.FunctionDef) else "continue"
        log = _log(finding, target, line, 2)
        guard = target.statements(f"if {_missing(code, row)}:\n    {log.replace(chr(10), chr(10) + '    ')}\n    {leave}\n")
        target.replace(line, cst.FlattenSentinel([*guard, line]))
        return
    if any(isinstance(node, _LEAVES) for statement in found for node in ast.walk(_tree(statement))):
        raise Abstain("what depends on the row also leaves the function")
    moved = found[0] is not following[0]
    if moved and isinstance(access, cst.Attribute):
        raise Abstain("an attribute may be loaded when it is read: it must not be read later")
    first = found[0] if moved else line
    if not isinstance(first, cst.SimpleStatementLine | cst.If | cst.For | cst.With | cst.Try | cst.While):
        raise Abstain("what depends on the row is a definition")
    plain = first.with_changes(leading_lines=[])
    body = [line, plain, *found[1:]] if moved else [plain, *found]
    log = target.statements(_log(finding, target, first, 1))
    guard = cst.If(
        test=target.expression(f"{code} is not None" if row else code),
        body=cst.IndentedBlock(cast("list[cst.SimpleStatementLine | cst.BaseCompoundStatement]", body)),
        orelse=cst.Else(cst.IndentedBlock(log)),
        leading_lines=first.leading_lines,
    )
    for statement in (line, *found):
        target.replace(statement, guard if statement is first else cst.RemovalSentinel.REMOVE)


def _plain_name(line: cst.SimpleStatementLine, result: str) -> str:
    """The name that gets the row; the expression may hold nothing but the result and ``.get``, so that it can move."""
    tree = _tree(line)
    match tree.body:
        case [ast.Assign(targets=[ast.Name(id=name)], value=value)]:
            calls = [node for node in ast.walk(value) if isinstance(node, ast.Call | ast.Await)]
            plain = all(isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get" for node in calls)
            if plain and _loads(tree) == {result}:
                return name
        case _:
            pass
    raise Abstain("the row is not simply assigned to a name")


def _tree(statement: cst.BaseStatement) -> ast.Module:
    return ast.parse(cst.Module([cast("cst.SimpleStatementLine | cst.BaseCompoundStatement", statement)]).code)


def _loads(tree: ast.AST) -> set[str]:
    read = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load | ast.Del)}
    return read | {node.target.id for node in ast.walk(tree) if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name)}


def _changed(tree: ast.AST) -> set[str]:
    """The names that code binds or whose objects it changes, as far as that shows."""
    changed: set[str] = set()
    for node in ast.walk(tree):
        part: ast.AST | None = (
            node if isinstance(node, ast.Name | ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store) else None
        )
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _CHANGERS:
            part = node.func.value
        while isinstance(part, ast.Attribute | ast.Subscript):
            part = part.value
        if isinstance(part, ast.Name):
            changed.add(part.id)
    return changed


def _run(statements: Sequence[cst.BaseStatement], names: set[str]) -> Sequence[cst.BaseStatement]:
    """The statements that need one of the names, directly or through what others of them make; they must stand together. Raises Abstain."""
    trees = [_tree(statement) for statement in statements]
    tainted = set(names)
    needing: set[int] = set()
    while new := {index for index, tree in enumerate(trees) if index not in needing and _loads(tree) & tainted}:
        needing |= new
        for index in new:
            tainted |= _changed(trees[index])
    if not needing:
        raise Abstain("nothing depends on the row")
    first, last = min(needing), max(needing)
    if len(needing) != last - first + 1:
        raise Abstain("what depends on the row does not stand together")
    return statements[first : last + 1]


def _inner(run: Sequence[cst.BaseStatement], names: set[str]) -> Sequence[cst.BaseStatement] | None:
    """The body of the only dependent statement when it is an ``if`` of which just that body needs the row, and more than that."""
    match run:
        case [cst.If(test=test, body=cst.IndentedBlock(body=body), orelse=orelse)]:
            outside = _loads(_tree(cst.SimpleStatementLine([cst.Expr(test)])))
            if orelse is not None:
                outside |= _loads(_tree(cst.If(test, cst.IndentedBlock([cst.SimpleStatementLine([cst.Pass()])]), orelse)))
            if outside & names:
                return None
            return body if orelse is not None or len(_run(body, names)) < len(body) else None
        case _:
            return None


def _check_inside(name: str, result: str, line: cst.BaseStatement, run: Sequence[cst.BaseStatement], function: Function) -> None:
    """What the skipped statements make must be needed by nobody else."""
    inside: list[ast.AST] = [node for statement in (line, *run) for node in ast.walk(_tree(statement))]
    made = {name, result}.union(*(_changed(_tree(statement)) for statement in run))
    for one in made:
        uses = sum(isinstance(node, ast.Name) and node.id == one for node in ast.walk(function))
        uses += sum(isinstance(node, ast.arg) and node.arg == one for node in ast.walk(function))
        uses += sum(isinstance(node, ast.Global | ast.Nonlocal) and one in node.names for node in ast.walk(function))
        own = sum(isinstance(node, ast.Name) and node.id == one for node in inside) + (one == result)
        if uses != own:
            raise Abstain(f"`{one}` is used where the row is not needed, too")


# The log line


def _log(finding: Finding, target: Target, near: cst.CSTNode, depth: int) -> str:
    """A warning in the file's quotes, wrapped where the file's lines would not be so long. Raises Abstain without a module logger."""
    logger = _logger(target.source)
    if logger is None:
        raise Abstain("the module has no logger to say that the row is missing")
    text, table, pair = target.source.text, finding.facts["table"], finding.facts["filter"]
    quote = "'" if text.count("'") > text.count('"') else '"'
    message = f"No row of {table}" if table else "The query found no row"
    arguments = f"{quote}{message}{quote}"
    if table and pair:
        arguments = f"{quote}{message} with {pair[0]} %s{quote}, {pair[1]}"
    indent = target.span_of(near).column - 1 + 4 * depth
    width = min(120, max(79, max(len(row) for row in target.source.lines)))
    plain = f"{logger}.warning({arguments})"
    return plain if indent + len(plain) <= width else f"{logger}.warning(\n    {arguments}\n)"


def _logger(source: SourceFile) -> str | None:
    for node in source.tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=func)) if source.qualified(func) == "logging.getLogger":
                return name
            case _:
                pass
    return None
