"""Give the call the timeout that the file uses elsewhere, else a minute."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable

import libcst as cst

from fixbot.detectors.finding import Finding
from fixbot.detectors.source import SourceFile
from fixbot.patchers.arguments import with_keyword
from fixbot.patchers.codemod import Tree
from fixbot.patchers.patch import Edit

SECONDS = 60  # of silence, what nginx (proxy_read_timeout) and AWS load balancers (idle timeout) allow by default
_CONSTANT = re.compile(r"_?(?:DEFAULT_|HTTP_|API_|NETWORK_|CONNECTION_)*(?:REQUESTS?_)?TIMEOUT(?:_S|_SECS|_SECONDS)?")


def fix(finding: Finding, tree: Tree) -> Iterable[Edit]:
    """Add or replace the timeout argument."""
    target = tree.target(finding)
    call = target.node(cst.Call)
    way = finding.facts["way"]
    if way == "aiohttp":
        seconds = target.expression(str(SECONDS))
        target.replace(call, with_keyword(with_keyword(call, "sock_connect", seconds), "sock_read", seconds))
        return target.edits()
    value = target.expression(_usual(target.source, finding.span.line, literal=way == "limits"))
    if way == "limits":
        target.replace(call, call.with_changes(args=[call.args[0].with_changes(value=value)]))
    else:
        target.replace(call, with_keyword(call, "timeout", value))
    return target.edits()


def _usual(source: SourceFile, line: int, *, literal: bool) -> str:
    """The timeout that the file's other calls of network libraries agree on, else its one general constant, else SECONDS."""
    used: Counter[str] = Counter()
    constants: dict[str, int] = {}
    for node in source.tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                if _is_number(value):
                    constants[name] = node.lineno
            case _:
                pass
    if not literal:
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Call) and _is_network(node, source):
                used.update(
                    ast.unparse(one.value)
                    for one in node.keywords
                    if one.arg == "timeout"
                    and (_is_number(one.value) or (isinstance(one.value, ast.Name) and constants.get(one.value.id, line) < line))
                )
    if len(used) == 1:
        return next(iter(used))
    general = [name for name, defined in constants.items() if _CONSTANT.fullmatch(name) and defined < line]
    return general[0] if len(general) == 1 else str(SECONDS)


def _is_network(node: ast.Call, source: SourceFile) -> bool:
    origin = source.qualified(node.func) or (source.made_by(node.func.value) if isinstance(node.func, ast.Attribute) else None) or ""
    return origin.partition(".")[0] in ("requests", "httpx", "httpx2", "urllib", "smtplib", "ftplib", "poplib", "imaplib")


def _is_number(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and isinstance(value.value, int | float) and value.value > 0
