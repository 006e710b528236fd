"""The fixes of a run over its base: what each one changes, and the files with any of them, those of a review included."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from fixbot.agent.apply import patch_of
from fixbot.agent.errors import RepositoryError, UsageError
from fixbot.agent.result import Outcome, RunResult, Status
from fixbot.agent.review.session import Entry
from fixbot.detectors.finding import Safety
from fixbot.patchers.difference import edits_between
from fixbot.patchers.layers import Layers, layers
from fixbot.patchers.patch import ConflictError, Origin, Patch, apply_patches, blob_id

Sides = dict[str, tuple[bytes, bytes]]
"""The files that a fix changes: their bytes before and after it."""


@dataclass(frozen=True, slots=True)
class Fixes:
    """``stack`` holds the run's proven fixes, ``number`` their place in it by finding; ``read`` gives a file of the base."""

    read: Callable[[str], bytes]
    stack: Layers
    number: dict[str, int]


def fixes_of(result: RunResult, read: Callable[[str], bytes]) -> Fixes:
    """The fixes of a run. Raises RepositoryError for some that do not fit the base."""
    patches = [patch_of(one) for one in result.outcomes if one.status is Status.FIXED and one.patch]
    try:
        stack = layers(patches, {path: read(path) for patch in patches for path in patch.bases})
    except (ConflictError, OSError) as error:
        raise RepositoryError(f"the fixes of run {result.run} do not fit its base: {error}", "start a new run") from error
    return Fixes(read, stack, {patch.finding: number for number, patch in enumerate(stack.patches)})


def stacked(fixes: Fixes, entry: Entry) -> int | None:
    """The place of an entry's fix in the stack; None for one that is not the run's proven one."""
    return None if entry.revised and entry.outcome.patch and not _same(fixes, entry) else fixes.number.get(entry.fingerprint)


def _same(fixes: Fixes, entry: Entry) -> bool:
    number = fixes.number.get(entry.fingerprint)
    return number is not None and fixes.stack.patches[number].edits == patch_of(entry.outcome).edits


def sides(fixes: Fixes, entry: Entry) -> Sides:
    """What an entry's fix changes; nothing where there is no fix, or one that cannot be had without others that were dropped."""
    if entry.outcome.patch is None:
        return {}
    number, stack = stacked(fixes, entry), fixes.stack
    if number is not None:
        whole = stack.closure([number])
        before, after = stack.content(whole - {number}), stack.content(whole)
        return {path: (before.get(path, stack.base[path]), after[path]) for path in stack.patches[number].paths}
    patch = patch_of(entry.outcome)
    base = {path: fixes.read(path) for path in patch.bases}
    if any(blob_id(base[path]) != blob for path, blob in patch.bases.items()):
        return {}
    return {path: (base[path], data) for path, data in apply_patches([patch], base).items()}


def beneath(fixes: Fixes, entry: Entry) -> dict[str, bytes]:
    """The files that the fixes change which an entry's fix stands on."""
    number = stacked(fixes, entry)
    return {} if number is None else fixes.stack.content(fixes.stack.closure([number]) - {number})


def from_sides(finding: Outcome, changed: Sides, origin: Origin) -> Patch:
    """A patch that turns the first sides into the second ones."""
    one = finding.finding
    edits = tuple(edit for path, (old, new) in sorted(changed.items()) if old != new for edit in edits_between(path, old, new))
    bases = {path: blob_id(old) for path, (old, new) in sorted(changed.items()) if old != new}
    return Patch(one.fingerprint, one.rule, origin, Safety.UNSAFE, bases, edits)


def together(fixes: Fixes, entries: Iterable[Entry], more: Sequence[Patch] = ()) -> dict[str, bytes]:
    """The files that the fixes of some entries, and ``more`` patches of the base, change together: their new bytes.

    Raises UsageError for a fix that stands on one which is not among them, and for fixes that change the same lines.
    """
    stack, chosen, others = fixes.stack, list[int](), list(more)
    for entry in entries:
        number = stacked(fixes, entry)
        if number is None:
            others.append(patch_of(entry.outcome))
        else:
            chosen.append(number)
    for number in chosen:
        _check_needs(stack, number, chosen)
    if not others:
        return stack.content(chosen)
    if all(_of_base(stack, stack.patches[number]) for number in chosen):
        run = [stack.patches[number] for number in chosen]
    else:
        content = stack.content(chosen)
        run = [
            Patch("", "", Origin.PERSON, Safety.UNSAFE, {path: blob_id(stack.base[path])}, edits_between(path, stack.base[path], data))
            for path, data in content.items()
        ]
    every = [*run, *others]
    try:
        return apply_patches(every, {path: fixes.read(path) for patch in every for path in patch.bases})
    except ConflictError as error:
        raise UsageError(f"the accepted fixes do not go together: {error}", "accept fewer of them, or edit one") from None


def _of_base(stack: Layers, patch: Patch) -> bool:
    return all(blob_id(stack.base[path]) == blob for path, blob in patch.bases.items())


def _check_needs(stack: Layers, number: int, chosen: Sequence[int]) -> None:
    missing = [stack.patches[one] for one in stack.closure([number]) if one not in chosen]
    if missing:
        names = ", ".join(f"{patch.rule} in {', '.join(patch.paths)}" for patch in missing)
        one = stack.patches[number]
        raise UsageError(f"the fix of {one.rule} in {', '.join(one.paths)} stands on another one: {names}", "accept that one, too")
