"""The suite's failing tests as findings: grouped by the function that most likely makes them fail."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

from fixbot.agent.session import Rounds, Session
from fixbot.agent.verify.evidence import executable_lines
from fixbot.agent.verify.results import SuiteResult
from fixbot.agent.verify.runner import SuiteRunner
from fixbot.agent.verify.suspects import Suspect, functions, suspects
from fixbot.agent.verify.verdict import TIMEOUT
from fixbot.detectors.finding import Finding, Related, Span, with_fingerprints
from fixbot.detectors.project import Project, is_test
from fixbot.detectors.registry import all_rules
from fixbot.detectors.source import SkippedFile
from fixbot.detectors.walk import descendants

RULE = "failing-test"
_PASSING = 400  # passing tests that are run beside the failing ones, to tell what these do differently
_SUSPECTS = 4
_SOURCE = 60  # lines of a test's source
_NAMED = 20


def failing_tests(session: Session, runner: SuiteRunner, rounds: Rounds, project: Project) -> list[Finding]:
    """A finding for each function that failing tests point at. One more run of the suite, with all lines watched, tells them apart."""
    failing = list(rounds.baseline.failing) if rounds.baseline else []
    if not failing:
        return []
    with session.watch("locate"):
        run = _spectrum(runner, rounds, project, failing)
    known = functions(project, [path for path in project.files if not is_test(path)])
    groups: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    lost: list[str] = []
    for name in failing:
        found = suspects([name], run, known)
        if found:
            groups[found[0].path, found[0].name].append(name)
        else:
            lost.append(name)
    if lost:
        rounds.notes.append(f"no code of the repository was seen to run in {len(lost)} failing tests, the first is {lost[0]}")
    return list(with_fingerprints(_finding(tests, suspects(tests, run, known), run, project) for tests in groups.values()))


def _spectrum(runner: SuiteRunner, rounds: Rounds, project: Project, failing: Sequence[str]) -> SuiteResult:
    """The failing tests and passing ones (of the same files first) with the lines that each executes. Tests that hung are not run again."""
    assert rounds.baseline is not None
    hung = {name: test for name, test in runner.without_fixes(failing).items() if test.detail.startswith(TIMEOUT)}
    files = {name.partition("::")[0] for name in failing}
    passing = sorted(rounds.baseline.good, key=lambda name: (name.partition("::")[0] not in files, name))[:_PASSING]
    select = [*(name for name in failing if name not in hung), *passing]
    watch = {path: lines for path in project.files if not is_test(path) and (lines := _lines(project, path))}
    run = runner.run(rounds.tip, {}, label="failing tests, located", select=select, watch=watch)
    return replace(run, tests={**run.tests, **hung})


def _lines(project: Project, path: str) -> frozenset[int]:
    try:
        return executable_lines(project.read(path))
    except (OSError, SyntaxError, ValueError, RecursionError):
        return frozenset()


def _finding(tests: Sequence[str], found: Sequence[Suspect], run: SuiteResult, project: Project) -> Finding:
    top = found[0]
    details = [run.tests[name].detail for name in tests if name in run.tests and run.tests[name].detail]
    detail = next((text for text in details if not text.startswith(TIMEOUT)), "")
    last = next((line.strip()[2:].strip() for line in detail.splitlines() if line.startswith("E ")), detail.partition("\n")[0])
    line = top.line
    if details and not detail:  # where it was interrupted is left to chance
        last = detail = "the test does not end in time"
        line = top.first
    more = f" and {len(tests) - 1} more fail" if len(tests) > 1 else " fails"
    return Finding(
        rule=RULE,
        severity=all_rules()[RULE].severity,
        path=top.path,
        span=Span(line, 1, line, 1),
        message=f"{tests[0]}{more}: {last[:200]}",
        scope=top.name,
        key=top.name,
        related=tuple(_related(one) for one in found[1:_SUSPECTS]),
        fix=all_rules()[RULE].fix,
        facts={
            "tests": list(tests),
            "failing_tests": "\n".join(tests[:_NAMED]),
            "test": _source(tests[0], project),
            "traceback": detail[:3000],
        },
    )


def _related(one: Suspect) -> Related:
    return Related(one.path, one.first, f"`{one.name}` is executed by the failing tests, too (suspicion {one.score:.2f})")


def _source(name: str, project: Project) -> str:
    """The source of a test by its node id, cut to some lines."""
    path, *parts = name.partition("[")[0].split("::")
    try:
        source = project.source(path)
        nodes = list(_defined(source.tree, parts))
    except (OSError, SkippedFile):
        return ""
    if not nodes:
        return ""
    node = nodes[-1]
    first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
    return "\n".join(source.lines[first - 1 : node.end_lineno][:_SOURCE])


def _defined(tree: ast.Module, parts: Sequence[str]) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in descendants(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and parts and node.name == parts[-1]:
            yield node
