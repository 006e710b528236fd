"""Where a new import goes: beside those of its kind, in alphabetical order where the file keeps one, as whole lines of their own."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence

from fixbot.detectors.source import SourceFile
from fixbot.detectors.standard import STANDARD
from fixbot.patchers.patch import Edit


def head_edits(source: SourceFile, wanted: Iterable[tuple[str, str | None]], definitions: Iterable[str] = ()) -> tuple[Edit, ...]:
    """Insertions that bring in modules ``(module, None)`` and names of modules ``(module, name)``, without those the file already has.

    ``definitions`` are one-line statements to put below the imports.
    """
    edits: list[Edit] = []
    for module, name in dict.fromkeys(wanted):
        origin = f"{module}.{name}" if name else module
        local = name or module.partition(".")[0]
        if any(_brings(node, module, name) for node in _top_imports(source)) and source.imports.get(local) in (origin, local):
            continue
        edits.append(_extended(source, module, name) or _inserted(source, module, name))
    edits += [_defined(source, statement) for statement in dict.fromkeys(definitions)]
    return tuple(dict.fromkeys(edits))


def _defined(source: SourceFile, statement: str) -> Edit:
    imports = _top_imports(source)
    if not imports:
        return _at_top(source, statement)
    last = imports[-1]
    newline = _newline(source)
    line = (last.end_lineno or last.lineno) + 1
    gap = newline if line <= len(source.lines) and source.lines[line - 1].strip() else ""
    return _insertion(source, line, newline + statement + newline + gap)


def _brings(node: ast.Import | ast.ImportFrom, module: str, name: str | None) -> bool:
    if name is None:
        return isinstance(node, ast.Import) and any(alias.name == module and not alias.asname for alias in node.names)
    same = isinstance(node, ast.ImportFrom) and node.module == module and not node.level
    return same and any(alias.name == name and not alias.asname for alias in node.names)


def _top_imports(source: SourceFile) -> list[ast.Import | ast.ImportFrom]:
    return [node for node in source.tree.body if isinstance(node, ast.Import | ast.ImportFrom)]


def _extended(source: SourceFile, module: str, name: str | None) -> Edit | None:
    """``from module import a`` in the file becomes ``from module import a, name``."""
    if name is None:
        return None
    for node in _top_imports(source):
        if isinstance(node, ast.ImportFrom) and node.module == module and not node.level and node.names[0].name != "*":
            last = node.names[-1]
            span = source.span(last)
            text = source.lines[span.end_line - 1]
            alone = len(node.names) > 1 and text[: span.column - 1].strip() == "" and span.line > node.lineno
            glue = f",{_newline(source)}{text[: span.column - 1]}" if alone else ", "
            at = offset_of(source, span.end_line, span.end_column)
            return Edit(source.path, at, at, _raw(source, glue + name))
    return None


def _inserted(source: SourceFile, module: str, name: str | None) -> Edit:
    line = f"from {module} import {name}" if name else f"import {module}"
    newline = _newline(source)
    block = _own_lines(source, _first_block(source))
    peers = [node for node in block if _section(node) == _section_of(module)]
    if peers:
        after = [node for node in peers if _sort_key(node) > (name is not None, module.casefold())]
        same_kind = [node for node in peers if isinstance(node, ast.ImportFrom) == (name is not None)]
        if after and (same_kind or name is None) and _is_sorted(peers):
            return _insertion(source, after[0].lineno, line + newline)
        anchor = (same_kind or peers)[-1] if _is_sorted(peers) else peers[-1]
        return _insertion(source, (anchor.end_lineno or anchor.lineno) + 1, line + newline)
    if block:
        later = [node for node in block if _section(node) > _section_of(module)]
        if later:
            return _insertion(source, later[0].lineno, line + newline + newline)
        last = block[-1]
        return _insertion(source, (last.end_lineno or last.lineno) + 1, newline + line + newline)
    return _at_top(source, line)


def _at_top(source: SourceFile, line: str) -> Edit:
    newline = _newline(source)
    head = 0
    for node in source.tree.body:
        docstring = head == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        future = isinstance(node, ast.ImportFrom) and node.module == "__future__"
        if not docstring and not future:
            break
        head = node.end_lineno or node.lineno
    if head:
        return _insertion(source, head + 1, newline + line + newline)
    first = 1
    while first <= len(source.lines) and source.lines[first - 1].startswith("#"):
        first += 1
    definition = bool(source.tree.body) and isinstance(source.tree.body[0], ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    gap = newline * (1 + definition) if first <= len(source.lines) and source.lines[first - 1].strip() else ""
    return _insertion(source, first, line + newline + gap)


def _first_block(source: SourceFile) -> list[ast.Import | ast.ImportFrom]:
    """The imports at the head of the file, up to the first other statement (a docstring does not count)."""
    block: list[ast.Import | ast.ImportFrom] = []
    for node in source.tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            block.append(node)
        elif block or not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            break
    return [node for node in block if not (isinstance(node, ast.ImportFrom) and node.module == "__future__")]


def _own_lines(source: SourceFile, nodes: Sequence[ast.Import | ast.ImportFrom]) -> list[ast.Import | ast.ImportFrom]:
    """Those that share their first and last line with no other statement."""
    starts = [node.lineno for node in source.tree.body]
    ends = [node.end_lineno for node in source.tree.body]
    return [node for node in nodes if starts.count(node.lineno) == 1 and ends.count(node.end_lineno) == 1]


def _section_of(module: str) -> int:
    return 0 if module.partition(".")[0] in STANDARD else 1


def _section(node: ast.Import | ast.ImportFrom) -> int:
    if isinstance(node, ast.ImportFrom) and (node.level or not node.module):
        return 2
    return _section_of(node.module or "" if isinstance(node, ast.ImportFrom) else node.names[0].name)


def _sort_key(node: ast.Import | ast.ImportFrom) -> tuple[bool, str]:
    if isinstance(node, ast.ImportFrom):
        return True, (node.module or "").casefold()
    return False, node.names[0].name.casefold()


def _is_sorted(nodes: Sequence[ast.Import | ast.ImportFrom]) -> bool:
    keys = [_sort_key(node) for node in nodes]
    return keys == sorted(keys)


def _newline(source: SourceFile) -> str:
    match = re.search(r"\r\n|\r|\n", source.text)
    return match.group() if match else "\n"


def _insertion(source: SourceFile, line: int, text: str) -> Edit:
    """Text put before a line; a last line without an end gets one first."""
    if line > len(source.lines):
        end = len(source.data)
        return Edit(source.path, end, end, _raw(source, _newline(source) + text.rstrip("\r\n")))
    at = offset_of(source, line, 1)
    return Edit(source.path, at, at, _raw(source, text))


def _raw(source: SourceFile, text: str) -> str:
    return text.encode(source.encoding.removesuffix("-sig")).decode("latin-1")


def offset_of(source: SourceFile, line: int, column: int) -> int:
    """The byte offset in the file of a place (1-based, columns in code points)."""
    ends = [match.end() for match in re.finditer(r"\r\n|\r|\n", source.text)]
    start = ends[line - 2] if line > 1 else 0
    mark = 3 if source.data.startswith(b"\xef\xbb\xbf") else 0
    encoding = source.encoding.removesuffix("-sig")
    return mark + len((source.text[:start] + source.lines[line - 1][: column - 1]).encode(encoding))
