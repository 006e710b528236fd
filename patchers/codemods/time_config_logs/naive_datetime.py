"""Make the time aware, in UTC: ``datetime.now(timezone.utc)``, spelled as the file does."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence

import libcst as cst

from fixbot.detectors.finding import Finding
from fixbot.patchers.codemod import Abstain, Target, Tree
from fixbot.patchers.patch import Edit

_METHODS = {"utcnow": "now", "now": "now", "today": "now", "utcfromtimestamp": "fromtimestamp", "fromtimestamp": "fromtimestamp"}


def fix(finding: Finding, tree: Tree) -> Iterable[Edit]:
    """``utcnow()`` becomes ``now(zone)``, ``utcfromtimestamp(x)`` ``fromtimestamp(x, zone)``, ``utcnow`` without a call a lambda."""
    target = tree.target(finding)
    if not finding.key.endswith(")"):
        function = target.node(cst.Attribute)
        zone = _zone(target, function)
        name = target.code(function.value)
        target.replace(function, target.expression(f"lambda: {name}.now({_keyword(target, 'now')}{zone})"))
        return target.edits()
    call = target.node(cst.Call)
    function = call.func
    if not isinstance(function, cst.Attribute) or function.attr.value not in _METHODS:
        raise Abstain("the call is not one of datetime's own")
    method = _METHODS[function.attr.value]
    call_of_zone = cst.ensure_type(target.expression(f"f({_keyword(target, method)}{_zone(target, function)})"), cst.Call)
    argument = call_of_zone.args[0]
    changed = call.with_changes(func=function.with_changes(attr=cst.Name(method)), args=_extended(call, argument))
    target.replace(call, changed)
    return target.edits()


def _extended(call: cst.Call, argument: cst.Arg) -> Sequence[cst.Arg]:
    if not call.args:
        return [argument]
    *head, last = call.args
    if last.star or last.keyword:
        raise Abstain("the arguments are unpacked or named")
    comma, before = last.comma, call.whitespace_before_args
    if not isinstance(before, cst.ParenthesizedWhitespace):
        gap: cst.BaseParenthesizableWhitespace = cst.SimpleWhitespace(" ")
    elif isinstance(comma, cst.Comma) and isinstance(after := comma.whitespace_after, cst.ParenthesizedWhitespace):
        gap = before.with_changes(first_line=after.first_line)  # a comment stays with its argument
        plain = after.first_line.with_changes(whitespace=cst.SimpleWhitespace(""), comment=None)
        comma = comma.with_changes(whitespace_after=after.with_changes(first_line=plain))
    else:
        gap = before
    first = last.with_changes(comma=cst.Comma(whitespace_after=gap), whitespace_after_arg=cst.SimpleWhitespace(""))
    return [*head, first, argument.with_changes(comma=comma, whitespace_after_arg=last.whitespace_after_arg)]


def _keyword(target: Target, method: str) -> str:
    """``tz=`` where the file's other calls name the argument."""
    return "tz=" if re.search(rf"\.{method}\([^()\n]*\btz=", target.source.text) else ""


def _zone(target: Target, function: cst.Attribute) -> str:
    """How the file spells UTC; ``timezone`` is imported where it has no spelling yet."""
    names: dict[str, str] = {}
    for node in target.source.tree.body:
        match node:
            case ast.ImportFrom(module="datetime" | "pytz" as module, level=0):
                names.update({f"{module}.{alias.name}": alias.asname or alias.name for alias in node.names})
            case ast.Import():
                names.update({alias.name: alias.asname or alias.name for alias in node.names if alias.name == "pytz"})
            case ast.Assign(targets=[ast.Name(id="UTC" | "utc" as name)], value=ast.Attribute(attr="utc" | "UTC")):
                return name
            case _:
                pass
    if "datetime.UTC" in names:
        return names["datetime.UTC"]
    if "datetime.timezone" in names:
        return f"{target.use_import('datetime', 'timezone')}.utc"
    if isinstance(function.value, cst.Attribute):
        module = target.code(function.value.value)
        short = f"{module}.UTC" in target.source.text and f"{module}.timezone.utc" not in target.source.text
        return f"{module}.UTC" if short else f"{module}.timezone.utc"
    spelled = [names[one] for one in ("pytz.utc", "pytz.UTC") if one in names]
    spelled += [f"{names['pytz']}.{one}" for one in ("utc", "UTC") if "pytz" in names and f"{names['pytz']}.{one}" in target.source.text]
    return spelled[0] if spelled else f"{target.use_import('datetime', 'timezone')}.utc"
