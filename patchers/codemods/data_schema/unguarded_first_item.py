"""Check that there is a row: leave the function as it leaves it elsewhere, or skip only what needs the row."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import cast

import libcst as cst

from fixbot.detectors.finding import Finding
from fixbot.detectors.queries import module_logger
from fixbot.detectors.rules.data_schema.unguarded_first_item import may_be_none, returns_nothing
from fixbot.patchers.codemod import Abstain, Target, Tree
from fixbot.patchers.patch import Edit

_CHANGERS = frozenset({"append", "add", "update", "extend", "insert", "setdefault", "put", "push"})
_LOOPS = (cst.For, cst.While)


def fix(finding: Finding, tree: Tree) -> Iterable[Edit]:
    """``return None`` where the function may return None; a function that returns nothing skips what depends on the row."""
    target = tree.target(finding)
    access = _access(target)
    line = target.enclosing(access, cst.SimpleStatementLine)
    function = target.source.function(_syntax(finding, target))
    if line is None or len(line.body) != 1 or function is None:
        raise Abstain("the access is not in a plain statement")
    _check_always_reached(access, line, target)
    if function.returns is not None and may_be_none(function.returns):
        _return_none(finding, target, access, line)
    elif returns_nothing(function) and finding.facts["name"]:
        _skip_dependents(finding, target, access, line)
    else:
        raise Abstain("what the function should do without a row is not to be read off it")
    return target.edits()


def _access(target: Target) -> cst.Subscript | cst.Attribute:
    text = target.source.segment(target.span)
    return target.node(cst.Subscript) if text.endswith("]") else target.node(cst.Attribute)


def _syntax(finding: Finding, target: Target):  # noqa: ANN202
    raise NotImplementedError
