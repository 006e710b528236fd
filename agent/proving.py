"""Proof tests: a model writes a test for a fix; it is kept only if it fails without the fix and passes with it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from fixbot.agent.commits import patch_json
from fixbot.agent.events import Progress
from fixbot.agent.session import Rounds, Session, Tree
from fixbot.agent.verify.evidence import Lines, executed, watched
from fixbot.agent.verify.results import GOOD, SuiteResult
from fixbot.agent.verify.runner import SuiteRunner
from fixbot.agent.verify.verdict import Proof
from fixbot.detectors.project import discover, is_test
from fixbot.patchers.edits import edits_dependencies
from fixbot.patchers.model.context import Context, ContextError, build_context
from fixbot.patchers.model.conversation import Declined, Failed
from fixbot.patchers.model.messages import ModelError
from fixbot.patchers.model.proof import ProofWriter
from fixbot.patchers.patch import Origin, Patch, apply_patches


@dataclass(frozen=True, slots=True)
class _Trial:
    """A test that is to be tried, or why there is none."""

    writer: ProofWriter
    path: str
    source: str = ""
    reason: str = ""


def prove(
    session: Session, runner: SuiteRunner, rounds: Rounds, tree: Tree, accepted: Sequence[Patch], lines: Mapping[str, Lines]
) -> dict[str, Proof]:
    """A proof for each accepted fix that shall have one, by finding: those that a model made, and with ``--proof`` all others.

    Fixes for failing tests have their proof in these. ``lines`` are the lines of each patch that count as evidence.
    """
    wanted = [
        patch for patch in accepted if (patch.origin is Origin.MODEL or session.settings.proof) and not tree.findings[patch.finding].tests
    ]
    if session.model is None or rounds.model_problem or not wanted:
        return {}
    with session.watch("proof"):
        session.emit(Progress("proof tests", 0, len(wanted)))
        with ThreadPoolExecutor(session.settings.model_jobs) as pool:
            trials = list(pool.map(_write, _prepare(session, rounds, tree, wanted)))
        shared = _shared(runner, tree, accepted, trials, lines)
        proofs: dict[str, Proof] = {}
        for number, (patch, trial) in enumerate(zip(wanted, trials, strict=True), 1):
            proofs[patch.finding] = _try(runner, tree, accepted, patch, trial, lines[patch.finding], shared.get(trial.path))
            conversation = rounds.conversations.get(patch.finding)
            if conversation is not None:
                conversation.spend.merge(trial.writer.spend)
            session.emit(Progress("proof tests", number, len(wanted)))
    return proofs


def _prepare(session: Session, rounds: Rounds, tree: Tree, patches: Sequence[Patch]) -> Iterator[_Trial]:
    assert session.model is not None
    taken = set(tree.tracked)
    for patch in patches:
        finding = tree.findings[patch.finding]
        conversation = rounds.conversations.get(patch.finding)
        context, reason = conversation.context if conversation else None, ""
        if context is None:
            try:
                project = discover(tree.root, tree.tracked, session.settings.exclude)
                limit = session.settings.prompt_tokens
                context = build_context(finding, project, limit=limit, dependencies=edits_dependencies(finding.rule, finding.path))
            except ContextError as error:
                context, reason = Context("", "", "", (), ()), str(error)
        path = _place(finding.path, finding.rule, taken)
        taken.add(path)
        writer = ProofWriter(finding, context, patch_json(patch, tree)["diff"], session.model, _example(tree, path, finding.path))
        yield _Trial(writer, path, "", reason)


def _write(trial: _Trial) -> _Trial:
    if trial.reason:
        return trial
    try:
        return _Trial(trial.writer, trial.path, trial.writer.write())
    except (Declined, Failed, ModelError) as error:
        return _Trial(trial.writer, trial.path, reason=str(error))


_Pair = tuple[SuiteResult, SuiteResult]
"""A test's runs without and with the fixes."""


def _shared(
    runner: SuiteRunner, tree: Tree, accepted: Sequence[Patch], trials: Sequence[_Trial], lines: Mapping[str, Lines]
) -> dict[str, _Pair]:
    """All tests at once, without and with all fixes: what that says of each one, by its path. Nothing where a run did not end well."""
    tests = {trial.path: trial.source.encode() for trial in trials if not trial.reason}
    if len(tests) < 2:
        return {}
    fixed = apply_patches(accepted, tree.base(accepted)) | tests
    before = runner.run(tree.commit, tests, label=f"{len(tests)} proof tests without the fixes", files=tuple(tests))
    after = runner.run(
        tree.commit, fixed, label=f"{len(tests)} proof tests with the fixes", files=tuple(tests), watch=watched(lines.values())
    )
    if not before.complete or not after.complete:
        return {}
    return {path: (_only(before, path), _only(after, path)) for path in tests}


def _only(run: SuiteResult, path: str) -> SuiteResult:
    """What a run says of the tests of one file."""
    tests = {name: test for name, test in run.tests.items() if name.partition("::")[0] == path}
    return replace(run, tests=tests, collection_errors={name: text for name, text in run.collection_errors.items() if name == path})


def _try(
    runner: SuiteRunner, tree: Tree, accepted: Sequence[Patch], patch: Patch, trial: _Trial, lines: Lines, known: _Pair | None
) -> Proof:
    """Run the test without the fix, with it, and without it among the others; a test that shows nothing may be written anew.

    ``known`` are the first two of these runs, where they were made already.
    """
    source, reason = trial.source, trial.reason
    base = tree.base(accepted)
    fixed, others = apply_patches(accepted, base), apply_patches([other for other in accepted if other is not patch], base)

    def run(label: str, overlay: Mapping[str, bytes], watch: Lines | None = None) -> SuiteResult:
        test = {trial.path: source.encode()}
        return runner.run(tree.commit, {**overlay, **test}, label=label, files=(trial.path,), watch=watched([watch or {}]))

    while not reason:
        before, after = known or (run("proof test without the fix", {}), run("proof test with the fix", fixed, lines))
        known = None
        problem, output = _problem(before, after)
        if not problem:
            problem = "the test passes when only this fix is taken back" if passes(run("proof test, fix taken back", others)) else ""
        if not problem:
            return Proof(trial.path, source, True, executed=executed(lines, after)[0])
        try:
            source = trial.writer.rewrite(problem, output)
        except Failed:
            reason = problem
        except (Declined, ModelError) as error:
            reason = str(error)
    return Proof(trial.path, source, False, reason)


def passes(run: SuiteResult) -> bool:
    """Whether a run of a proof test says that it passes."""
    return run.complete and bool(run.tests) and not run.collection_errors and all(test.outcome in GOOD for test in run.tests.values())


def _problem(before: SuiteResult, after: SuiteResult) -> tuple[str, str]:
    if not passes(after):
        return "the test fails on the repaired code", _output(after)
    if passes(before):
        return "the test passes on the code as it was", ""
    return "", ""


def _output(run: SuiteResult) -> str:
    failed = [test.detail for test in run.tests.values() if test.outcome not in GOOD]
    return "\n\n".join([*run.collection_errors.values(), *failed]) or run.problem


# Where a test goes


def _place(path: str, rule: str, taken: Collection[str]) -> str:
    """A new file next to the repository's tests of a module, named as they are."""
    tests = _tests_near(path, taken)
    folder = str(PurePosixPath(tests[0]).parent).removeprefix(".") if tests else str(PurePosixPath(path).parent).removeprefix(".")
    stem = re.sub(r"\W+", "_", f"{PurePosixPath(path).stem}_{rule}".strip("_"))
    trailing = bool(tests) and sum(name.endswith("_test.py") for name in tests) * 2 > len(tests)
    number = 1
    while True:
        name = stem if number == 1 else f"{stem}_{number}"
        place = f"{folder}/" * bool(folder) + (f"{name}_test.py" if trailing else f"test_{name}.py")
        if place not in taken:
            return place
        number += 1


def _tests_near(path: str, tracked: Collection[str]) -> list[str]:
    """Test files, those first that seem to be about a module: named after it, in its part of the tree, in the folder of most tests."""
    tests = [name for name in sorted(tracked) if is_test(name) and re.search(r"(^|/)(test_[^/]*|[^/]*_test)\.py$", name)]
    stem = PurePosixPath(path).stem
    size = Counter(name.rpartition("/")[0] for name in tests)

    def common(name: str) -> int:
        shared = 0
        for one, other in zip(name.split("/"), path.split("/"), strict=False):
            if one != other:
                break
            shared += 1
        return shared

    return sorted(tests, key=lambda name: (stem not in name, -common(name), -size[name.rpartition("/")[0]], name))


def _example(tree: Tree, place: str, path: str) -> tuple[str, str] | None:
    """The test file that shows best how the repository's tests look."""
    for name in _tests_near(path, tree.tracked):
        full = tree.root / name
        if name != place and full.is_file() and not full.is_symlink() and full.stat().st_size < 200_000:
            return name, full.read_text("utf-8", "replace")
    return None
