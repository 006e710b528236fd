"""Fix findings in rounds: patches that do not touch each other are verified and committed together, the others on top of them.

A round: propose on the tree so far (a codemod, or a model) -> gate -> take what does not conflict -> run the detectors on the result ->
run the suite (baseline first) -> bisect what fails -> commit each proven fix. What was wrong with a model's fix goes back to it in the
next round.
"""

from __future__ import annotations

import difflib
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from fixbot.agent import workspace as ws
from fixbot.agent.commits import patch_json
from fixbot.agent.judging import choose, judge_batch
from fixbot.agent.proposals import Proposed, propose_fixes, retry
from fixbot.agent.result import Outcome, Status
from fixbot.agent.session import Identity, Rounds, Session, Tree, decide, identity
from fixbot.agent.verify.runner import SuiteRunner
from fixbot.detectors.engines.ruff import diagnose
from fixbot.detectors.finding import Finding, Span
from fixbot.detectors.registry import all_rules
from fixbot.detectors.source import SourceFile
from fixbot.patchers.difference import new_lines
from fixbot.patchers.model.broken import parses
from fixbot.patchers.patch import Origin, Patch, apply_patches, conflicts

MAX_ROUNDS = 8
_ERRORS = frozenset({"E9", "F63", "F7", "F82"})
"""Ruff's codes for code that cannot work: syntax, comparisons that are always true, misplaced statements, undefined names."""


def fix_rounds(session: Session, runner: SuiteRunner | None, reason: str, rounds: Rounds, pending: Sequence[Finding]) -> Rounds:
    """Work until nothing is pending or a round brings nothing. Without a ``runner`` nothing can be verified; ``reason`` says why."""
    originals = {finding.fingerprint: finding for finding in pending}
    for number in range(1, MAX_ROUNDS + 1):
        if not pending:
            break
        with tempfile.TemporaryDirectory(prefix="round-", dir=session.workspace.root.parent) as folder:
            tree = _tree(session, Path(folder) / "tree", rounds, pending)
            for finding in pending:
                if finding.fingerprint not in tree.findings:
                    decide(session, rounds, Outcome(finding, Status.FIXED, "gone after another fix", commit=rounds.tip))
            here = [finding for finding in pending if finding.fingerprint in tree.findings]
            found = propose_fixes(session, rounds, tree, here, number)
            choose(session, runner, rounds, tree, found)
            batch, waiting = _disjoint(found)
            batch, again = _recheck(session, rounds, tree, batch, originals)
            if batch:
                again |= judge_batch(session, runner, reason, rounds, tree, batch, originals)
            pending = [finding for finding in here if finding.fingerprint in waiting | again]
    for finding in pending:
        last = rounds.feedback.get(finding.fingerprint)
        why = f"still in conflict with other fixes after {MAX_ROUNDS} rounds"
        decide(session, rounds, last.outcome if last else Outcome(finding, Status.NOT_ATTEMPTED, why))
    return rounds


# The tree of a round


def _tree(session: Session, root: Path, rounds: Rounds, pending: Sequence[Finding]) -> Tree:
    commit = rounds.tip
    ws.export(session.workspace, root, commit)
    with session.watch("scan"):
        found = session.scan(root, commit)
    external = [finding for finding in pending if all_rules()[finding.rule].external]
    anchored = _anchor([finding for finding in pending if finding not in external], found.findings)
    passing = rounds.baseline.good if rounds.baseline else frozenset[str]()
    anchored |= {
        finding.fingerprint: _moved(session, finding, root)
        for finding in external
        if not (finding.tests and passing.issuperset(finding.tests))
    }
    return Tree(root, commit, frozenset(ws.files(session.workspace, commit)), anchored, _count(found.findings))


def _anchor(pending: Sequence[Finding], found: Sequence[Finding]) -> dict[str, Finding]:
    """Pending findings where they stand now, under the fingerprint that they had first. Those that are gone are left out."""
    places: defaultdict[Identity, list[Finding]] = defaultdict(list)
    for finding in found:
        places[identity(finding)].append(finding)
    anchored: dict[str, Finding] = {}
    for finding in sorted(pending, key=lambda one: (one.path, one.span)):
        here = places[identity(finding)]
        if here:
            same = next((one for one in here if one.span == finding.span), here[-1] if len(here) == 1 else here[0])
            here.remove(same)
            anchored[finding.fingerprint] = replace(
                same, fingerprint=finding.fingerprint, facts={**finding.facts, **same.facts}, sources=finding.sources
            )
    return anchored


def _moved(session: Session, finding: Finding, root: Path) -> Finding:
    """A finding that no detector finds again, on the lines where its code stands now."""
    before = ws.read(session.workspace, session.workspace.base, finding.path)
    after = (root / finding.path).read_bytes()
    if before == after:
        return finding
    matcher = difflib.SequenceMatcher(None, before.splitlines(), after.splitlines(), autojunk=False)

    def now(line: int) -> int:
        for _, start, end, new_start, new_end in matcher.get_opcodes():
            if start < line <= end:
                return min(new_start + line - start, max(new_end, 1))
        return line

    span = finding.span
    return replace(finding, span=Span(now(span.line), span.column, max(now(span.line), now(span.end_line)), span.end_column))


def _count(findings: Iterable[Finding]) -> Counter[Identity]:
    return Counter(map(identity, findings))


# What can be tried together


def _disjoint(found: Proposed) -> tuple[list[Patch], set[str]]:
    """Patches that can be applied together, and the findings whose patches have to wait for them."""
    batch: list[Patch] = []
    waiting: set[str] = set()
    for patch in found.patches:
        if any(conflicts(patch, other) for other in batch):
            waiting.add(patch.finding)
        else:
            batch.append(patch)
    return batch, waiting


def _recheck(
    session: Session, rounds: Rounds, tree: Tree, batch: Sequence[Patch], originals: Mapping[str, Finding]
) -> tuple[list[Patch], set[str]]:
    """Run the detectors on the patched tree; drop patches that leave their finding or bring a new one.

    A patch that is only wrong beside another one waits for the next round. The second value are the findings that are not done: those
    and the ones whose fix a model shall mend.
    """
    objected = _objections(session, tree, batch)
    good = [patch for patch in batch if patch.finding not in objected]
    if objected and good and _objections(session, tree, good):
        good, objected = [], {patch.finding: "" for patch in batch}
    again: set[str] = set()
    for patch in batch:
        if patch.finding not in objected:
            continue
        if len(batch) > 1 and not _objections(session, tree, [*good, patch]):
            good.append(patch)
            continue
        alone = objected if len(batch) == 1 else _objections(session, tree, [patch])
        if not alone:
            again.add(patch.finding)  # right by itself: on top of the others it may be seen for what it is
            continue
        why = alone[patch.finding]
        outcome = Outcome(originals[patch.finding], Status.FAILED, why, patch_json(patch, tree))
        if retry(session, rounds, outcome, why):
            again.add(patch.finding)
    order = {patch.finding: index for index, patch in enumerate(batch)}
    return sorted(good, key=lambda patch: order[patch.finding]), again


def _objections(session: Session, tree: Tree, batch: Sequence[Patch]) -> dict[str, str]:
    """What is wrong with patches when they are applied together, by finding."""
    if not batch:
        return {}
    after, errors = _patched(session, tree, batch)
    gone = Counter(identity(tree.findings[patch.finding]) for patch in batch)
    return {patch.finding: why for patch in batch if (why := _objection(patch, tree, gone, after, errors))}


def _patched(session: Session, tree: Tree, batch: Sequence[Patch]) -> tuple[Counter[Identity], dict[str, str]]:
    """The findings of the patched tree, and for each file of a model's patch an error that it did not have before.

    In a file that did not parse before only changed lines count: what else is found there now was there, and nobody could see it.
    """
    base = tree.base(batch)
    changed = apply_patches(batch, base)
    mended = {path: new_lines(base[path], data) for path, data in changed.items() if not parses(SourceFile(path, base[path]))}
    paths = sorted({path for patch in batch if patch.origin is Origin.MODEL for path in patch.paths if path.endswith((".py", ".pyw"))})
    with tempfile.TemporaryDirectory(prefix="patched-", dir=session.workspace.root.parent) as folder, session.watch("scan"):
        root = Path(folder) / "tree"
        ws.export(session.workspace, root, tree.commit, changed)
        found = session.scan(root, tree.commit).findings
        after = _count(one for one in found if one.path not in mended or one.span.line in mended[one.path])
        if not paths:
            return after, {}
        old, new = (diagnose(place, paths, _ERRORS) for place in (tree.root, root))
    errors: dict[str, str] = {}
    for path, errors_now in new.items():
        known = Counter(one.code for one in old.get(path, ()))
        for one in errors_now:
            if path in mended and one.span.line not in mended[path]:
                continue
            if Counter(each.code for each in errors_now)[one.code] > known[one.code]:
                errors[path] = f"{path}, line {one.span.line}: {one.message} ({one.code})"
    return after, errors


def _objection(patch: Patch, tree: Tree, gone: Counter[Identity], after: Counter[Identity], errors: Mapping[str, str]) -> str:
    finding = tree.findings[patch.finding]
    mine = identity(finding)
    if not all_rules()[finding.rule].external and after[mine] > tree.counts[mine] - gone[mine]:
        return "the finding is still there after the fix"
    new = [one for one in after if one[1] in patch.paths and after[one] > tree.counts[one] and one[0] != "unused-suppression"]
    if new:
        return f"the fix brings a new finding of {new[0][0]}"
    wrong = [errors[path] for path in patch.paths if path in errors] if patch.origin is Origin.MODEL else []
    return f"the fix brings an error: {wrong[0]}" if wrong else ""
