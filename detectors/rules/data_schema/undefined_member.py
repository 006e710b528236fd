"""An attribute of an own class is used that the class does not have."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from fixbot.detectors.finding import CODEMOD, MODEL, Related, Severity
from fixbot.detectors.member_index import Members
from fixbot.detectors.members import is_bound_once, members, uses, value_after
from fixbot.detectors.project import Project
from fixbot.detectors.registry import Report, report, rule
from fixbot.detectors.source import SourceFile


@rule(severity=Severity.HIGH, fix=CODEMOD, collects=members)
def check(project: Project) -> Iterator[Report]:
    """One finding for each use of a member that neither the class nor a base has, nor anything sets from outside."""
    index = Members(project)
    for path, attributes in index.suspects():
        source = project.source(path)
        for origin, node in uses(source, attributes):
            if not index.lacks(path, origin, node.attr) or _expected(source, node):
                continue
            if is_bound_once(ast.unparse(node).partition(".")[0], source) and not index.gets(path, origin, node.attr):
                yield _report(index, path, source, node, index.find(path, origin) or (path, ""), node.attr)


def _expected(source: SourceFile, node: ast.Attribute) -> bool:
    """Whether the code around a use reckons with the member missing: ``hasattr``, ``except AttributeError``, ``raises(AttributeError)``."""
    tested = re.findall(rb"(?:has|get)attr\(\s*[\w.]+\s*,\s*[\"'](\w+)[\"']", source.data)
    if node.attr.encode() in tested:
        return True
    if b"AttributeError" not in source.data:
        return False
    for outer in source.ancestors(node):
        if isinstance(outer, ast.Try) and any("AttributeError" in ast.unparse(one.type) for one in outer.handlers if one.type):
            return True
        if isinstance(outer, ast.With | ast.AsyncWith) and any("AttributeError" in ast.unparse(one.context_expr) for one in outer.items):
            return True
    return False


def _report(index: Members, path: str, source: SourceFile, node: ast.Attribute, home: tuple[str, str], name: str) -> Report:
    import difflib

    file, owner = home
    one = index.facts[file]["classes"][owner]
    known = [member for member in index.members(file, owner) or () if not member.startswith("_")]
    near = [member for member in known if member.lower() == name.lower()] or difflib.get_close_matches(name, known, 1, 0.85)
    parent = source.parent(node)
    called = isinstance(parent, ast.Call) and parent.func is node
    value = value_after(one["pattern"], name) if one["pattern"] and not near and not called else None
    return report(
        source.span(node),
        f"`{owner}` has no member `{name}`: the line raises AttributeError when it runs" + (f"; is `{near[0]}` meant?" if near else ""),
        key=f"{owner}.{name}",
        path=path,
        scope=source.scope(node),
        related=[Related(file, one["span"][0], f"defines `{owner}`")],
        fix=CODEMOD if value else MODEL,
        file=file,
        place=one["span"],
        name=name,
        value=value,
    )
