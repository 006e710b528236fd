"""Keyword arguments put into calls in the layout that the call already has."""

from __future__ import annotations

import libcst as cst

from fixbot.patchers.codemod import Abstain

_SPACED = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))


def with_keyword(call: cst.Call, name: str, value: cst.BaseExpression) -> cst.Call:
    """The call with ``name=value`` as its last argument: on a line of its own and with a trailing comma where the others are so.

    A keyword that is there gets the new value. Raises Abstain where no keyword can follow.
    """
    for index, arg in enumerate(call.args):
        if arg.keyword is not None and arg.keyword.value == name:
            return call.with_changes(args=[*call.args[:index], arg.with_changes(value=value), *call.args[index + 1 :]])
    new = cst.Arg(value, keyword=cst.Name(name), equal=cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace("")))
    if not call.args:
        return call.with_changes(args=[new])
    *before, last = call.args
    if last.star == "**" or (isinstance(last.value, cst.GeneratorExp) and not last.value.lpar):
        raise Abstain("no keyword can follow the last argument")
    between = _between(call)
    if isinstance(last.comma, cst.Comma):
        return call.with_changes(args=[*before, *_after_comma(last, last.comma, new, between)])
    new = new.with_changes(whitespace_after_arg=last.whitespace_after_arg)
    last = last.with_changes(comma=cst.Comma(whitespace_after=between), whitespace_after_arg=cst.SimpleWhitespace(""))
    return call.with_changes(args=[*before, last, new])


def _between(call: cst.Call) -> cst.BaseParenthesizableWhitespace:
    """The space between arguments: as after the comma before the last one, else as before the first; comments left out."""
    commas = [arg.comma for arg in call.args[:-1] if isinstance(arg.comma, cst.Comma)]
    space = commas[-1].whitespace_after if commas else call.whitespace_before_args
    if isinstance(space, cst.ParenthesizedWhitespace):
        return space.with_changes(
            first_line=space.first_line.with_changes(comment=None, whitespace=cst.SimpleWhitespace("")), empty_lines=[]
        )
    return space if commas and isinstance(space, cst.SimpleWhitespace) and space.value else _SPACED.whitespace_after


def _after_comma(last: cst.Arg, comma: cst.Comma, new: cst.Arg, between: cst.BaseParenthesizableWhitespace) -> tuple[cst.Arg, cst.Arg]:
    """The last argument and the new one, which takes over the trailing comma; a comment stays with the argument that it stands beside."""
    end = comma.whitespace_after
    if isinstance(end, cst.ParenthesizedWhitespace) and isinstance(between, cst.ParenthesizedWhitespace):
        between = between.with_changes(first_line=end.first_line, empty_lines=end.empty_lines)
        end = end.with_changes(first_line=end.first_line.with_changes(comment=None, whitespace=cst.SimpleWhitespace("")), empty_lines=[])
    return last.with_changes(comma=comma.with_changes(whitespace_after=between)), new.with_changes(
        comma=comma.with_changes(whitespace_after=end)
    )
