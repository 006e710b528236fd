"""Which lines a patch changed in the patched files, and which passing tests executed them."""

from __future__ import annotations

import ast
import textwrap
import warnings
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import CodeType

from fixbot.agent.verify.results import GOOD, SuiteResult
from fixbot.detectors.finding import Finding
from fixbot.patchers.patch import Edit, Patch, in_order

Lines = Mapping[str, frozenset[int]]  # path -> lines of the patched file
Place = tuple[str, int]  # a path and a line of it
_SHOWN = 5


def evidence_lines(
    patches: Sequence[Patch], findings: Mapping[str, Finding], base: Mapping[str, bytes], patched: Mapping[str, bytes]
) -> dict[str, Lines]:
    """For each patch (by its finding) the lines whose execution shows that it was tried, when all are applied to ``base`` together.

    These are the first lines of the changed statements. Where a patch only adds imports, the line that lacked the import is meant. For
    statements that were taken out it is the next one of their block, which runs when control passes the place where they were; at the
    end of a block the one before, where that is a simple one. Nothing can show by running that a definition or an import is not missed,
    or that another way through a statement (``else``, ``except``, a decorator) is not: their removal has no such line.
    """
    edits: defaultdict[str, set[Edit]] = defaultdict(set)
    for patch in patches:
        for edit in patch.edits:
            edits[edit.path].add(edit)
    maps = {
        path: _LineMap(base[path], in_order(changes), patched[path]) for path, changes in edits.items() if path.endswith((".py", ".pyw"))
    }
    return {patch.finding: _lines_of(patch, findings[patch.finding], maps) for patch in patches}


def _lines_of(patch: Patch, finding: Finding, maps: Mapping[str, _LineMap]) -> Lines:
    lines: dict[str, frozenset[int]] = {}
    imports_only = True
    for path in patch.paths:
        if path in maps:
            edits = [edit for edit in patch.edits if edit.path == path]
            removals = [edit for edit in edits if maps[path].takes_lines(edit)]
            changed = {number for edit in edits if edit not in removals for number in maps[path].changed(edit)}
            statements = maps[path].statements(changed) | {line for edit in removals for line in maps[path].passed(edit)}
            imports_only = imports_only and bool(statements) and statements <= maps[path].imports
            lines[path] = frozenset(statements)
    if imports_only and finding.path in lines:
        moved = maps[finding.path].moved(finding.span.line)
        lines[finding.path] = frozenset(maps[finding.path].statements({moved}))
    return {path: numbers for path, numbers in lines.items() if numbers}


class _LineMap:
    """Lines of a file before and after its edits."""

    def __init__(self, base: bytes, edits: Sequence[Edit], patched: bytes) -> None:
        self._base, self._lines = base, patched.splitlines()
        self._base_starts = _line_starts(base)
        self._starts = _line_starts(patched)
        self._edits = edits
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(patched)
        self._executable = executable_lines(patched)
        self._blocks = [node for node in ast.walk(tree) if isinstance(node, ast.stmt | ast.ExceptHandler | ast.match_case)]
        self.imports = {node.lineno for node in self._blocks if isinstance(node, ast.Import | ast.ImportFrom)}

    def changed(self, edit: Edit) -> range:
        """The lines of the patched file that an edit's new text stands on."""
        start, data = self._place(edit), edit.data
        leading = len(data) - len(data.lstrip(b"\r\n")) if data.strip() else 0
        last = max(start + leading, start + len(data.rstrip(b"\r\n")) - 1)
        return range(self._line(start + leading), self._line(last) + 1)

    def takes_lines(self, edit: Edit) -> bool:
        """Whether an edit only takes out whole lines."""
        whole = (edit.start in self._base_starts) and (edit.end in self._base_starts)
        return whole and not edit.data and edit.end > edit.start

    def passed(self, edit: Edit) -> set[int]:
        """The first line of the statement whose execution shows that control passes where an edit took out others; none where none does."""
        removed = self._base[edit.start : edit.end]
        first = next((line for line in removed.splitlines() if line.strip() and not line.lstrip().startswith(b"#")), b"")
        indent, place = len(first) - len(first.lstrip()), self._line(self._place(edit))
        if not first or not _only_acts(removed, indent):
            return set()
        following = min((node for node in self._blocks if _first(node) >= place), key=_first, default=None)
        if following is not None and _column(following) == indent and self._is_empty(place, _first(following)):
            return self.statements({_first(following)})
        before = (node for node in self._blocks if isinstance(node, ast.stmt) and _last(node) < place and node.col_offset == indent)
        last = max(before, key=_first, default=None)
        return self.statements({_first(last)}) if last is not None and not hasattr(last, "body") else set()

    def _place(self, edit: Edit) -> int:
        """Where an edit begins in the patched file."""
        before = self._edits[: self._edits.index(edit)]
        return edit.start + sum(len(other.data) - (other.end - other.start) for other in before)

    def _is_empty(self, first: int, last: int) -> bool:
        """Whether the lines from ``first`` to before ``last`` hold no code."""
        return all(not line.strip() or line.lstrip().startswith(b"#") for line in self._lines[first - 1 : last - 1])

    def moved(self, line: int) -> int:
        """Where a line of the base stands in the patched file."""
        offset = self._base_starts[line - 1]
        return self._line(offset + sum(len(edit.data) - (edit.end - edit.start) for edit in self._edits if edit.end <= offset))

    def statements(self, lines: Collection[int]) -> set[int]:
        """The first executable lines of the statements that lines belong to; a line of no statement (blank, comment) gives none."""
        found: set[int] = set()
        for line in lines:
            around = [node for node in self._blocks if _first(node) <= line <= _header_end(node)]
            if around:
                node = max(around, key=_first)
                first = next((number for number in range(_first(node), _header_end(node) + 1) if number in self._executable), None)
                if first:
                    found.add(first)
        return found

    def _line(self, offset: int) -> int:
        return bisect_right(self._starts, offset)


def _only_acts(removed: bytes, indent: int) -> bool:
    """Whether lines are whole statements that do something and define nothing that code elsewhere may use."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            statements = ast.parse(textwrap.dedent(removed.decode("utf-8", "replace"))).body
    except (SyntaxError, ValueError, RecursionError):
        return False
    defining = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
    binding = () if indent else (ast.Assign, ast.AnnAssign, ast.AugAssign)
    return not any(isinstance(node, (*defining, *binding)) for statement in statements for node in ast.walk(statement))


def _column(node: ast.stmt | ast.ExceptHandler | ast.match_case) -> int:
    return node.pattern.col_offset if isinstance(node, ast.match_case) else node.col_offset


def _first(node: ast.stmt | ast.ExceptHandler | ast.match_case) -> int:
    return node.pattern.lineno if isinstance(node, ast.match_case) else node.lineno


def _last(node: ast.stmt) -> int:
    return node.end_lineno or node.lineno


def _header_end(node: ast.stmt | ast.ExceptHandler | ast.match_case) -> int:
    """The last line of a statement, or of what precedes the block of a compound one."""
    body: list[ast.stmt] = getattr(node, "body", [])
    if body:
        return max(_first(node), body[0].lineno - 1)
    return _first(node) if isinstance(node, ast.match_case) else node.end_lineno or node.lineno


def _line_starts(data: bytes) -> list[int]:
    starts = [0]
    for line in data.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    return starts


def executable_lines(data: bytes) -> frozenset[int]:
    """The lines of a Python file that hold code. Raises SyntaxError, ValueError or RecursionError."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return frozenset(_code_lines(compile(data, "<file>", "exec", dont_inherit=True)))


def _code_lines(code: CodeType) -> Iterator[int]:
    yield from (line for _, _, line in code.co_lines() if line)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _code_lines(constant)


def watched(lines: Iterable[Lines]) -> dict[str, set[int]]:
    """All lines to look for, by path: what a suite run is asked to watch."""
    found: defaultdict[str, set[int]] = defaultdict(set)
    for entry in lines:
        for path, numbers in entry.items():
            found[path] |= numbers
    return found


def executed(lines: Lines, run: SuiteResult) -> tuple[frozenset[Place], tuple[str, ...]]:
    """Which of a patch's lines passing tests (or the imports before them) executed, and some of the tests."""
    places = {(path, number) for path, numbers in lines.items() for number in numbers}
    seen = _places(run.import_lines) & places
    tests: list[str] = []
    for test in run.tests.values():
        hit = _places(test.lines) & places if test.outcome in GOOD else None
        if hit:
            tests.append(test.id)
            seen |= hit
    return frozenset(seen), tuple(tests[:_SHOWN])


def _places(lines: Mapping[str, Iterable[int]]) -> set[Place]:
    return {(path, number) for path, numbers in lines.items() for number in numbers}
