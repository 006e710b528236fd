"""Write what was accepted, and what mutes false positives, to the work tree or to a branch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from fixbot.agent import workspace as ws
from fixbot.agent.apply import check_new, proof_of, write_files
from fixbot.agent.commits import fix_message, imports_message
from fixbot.agent.errors import FixbotError, RepositoryError, UsageError
from fixbot.agent.report.text import plural
from fixbot.agent.review.desk import Desk, read
from fixbot.agent.review.fixes import stacked, together
from fixbot.agent.review.muting import BASELINE, baseline, comment
from fixbot.agent.review.session import Entry, Mark, Muting
from fixbot.agent.verify.verdict import Grade, Verdict
from fixbot.patchers.patch import Patch

TREE = "the work tree"


def to_tree(desk: Desk) -> str:
    """Write to the work tree, whose files must be as the run found them, but for what this review wrote. Returns a sentence."""
    root = Path(desk.result.repository)
    if ws.locate(root) != root or not (root / ".git").exists():
        raise RepositoryError(f"{root} has no work tree", "apply to a branch")
    pending = _pending(desk)
    done = [one for one in desk.review.entries.values() if one.applied == TREE]
    before, after = _files(desk, done), _files(desk, [*done, *pending])
    for path, data in after.items():
        if read(root, path) not in (data, before.get(path, read(desk.workspace.root, path))):
            raise RepositoryError(f"{path} is not as it was when the fixes were made", "commit or stash its changes, or apply to a branch")
    news = check_new(root, dict(_proofs(pending).values()))
    muted = _baseline(pending, _file(root, BASELINE))
    write_files(root, {**after, **news, **muted})
    desk.review.applied(pending, TREE)
    return f"{_words(pending)} written to {root}"


def to_branch(desk: Desk) -> str:
    """Make a branch of the run's base, a commit a fix. The work tree stays as it is. Returns a sentence."""
    pending = _pending(desk)
    workspace = desk.workspace
    branch = ws.free_branch(workspace, f"fixbot/review-{desk.result.run}")
    tip = workspace.base
    for files, message in _commits(desk, pending):
        tip = ws.commit(workspace, branch, files, message, tip)
    ws.deliver(workspace, branch, tip)
    desk.review.applied(pending, f"branch {branch}")
    return f"{_words(pending)} committed to branch {branch}"


def _pending(desk: Desk) -> list[Entry]:
    pending = desk.review.pending()
    if not pending:
        raise UsageError("nothing is accepted that was not applied already", "accept fixes first")
    return pending


def _fixes(entries: Sequence[Entry]) -> list[Entry]:
    return [one for one in entries if one.mark is Mark.ACCEPTED]


def _proofs(entries: Sequence[Entry]) -> dict[str, tuple[str, bytes]]:
    """The path and content of each fix's proof test, by finding. Where two that were made apart have the same name, one gets a number."""
    found: dict[str, tuple[str, bytes]] = {}
    taken: dict[str, bytes] = {}
    for one in _fixes(entries):
        proof = proof_of(one.outcome)
        if proof is not None:
            path, data = proof
            ending = "_test.py" if path.endswith("_test.py") else ".py"
            stem, number = path.removesuffix(ending), 1
            while taken.setdefault(path, data) != data:
                number += 1
                path = f"{stem}_{number}{ending}"
            found[one.fingerprint] = path, data
    return found


def _comments(desk: Desk, entries: Sequence[Entry]) -> list[Patch]:
    return [
        comment(one.outcome.finding, read(desk.workspace.root, one.outcome.finding.path), one.reason)
        for one in entries
        if one.muting is Muting.COMMENT
    ]


def _files(desk: Desk, entries: Sequence[Entry]) -> dict[str, bytes]:
    return together(desk.fixes, _fixes(entries), _comments(desk, entries))


def _baseline(entries: Sequence[Entry], old: bytes | None) -> dict[str, bytes]:
    some = [one.outcome.finding for one in entries if one.muting is Muting.BASELINE]
    return {BASELINE: baseline(some, old)} if some else {}


def _file(root: Path, path: str) -> bytes | None:
    full = root / path
    if full.is_symlink():
        raise RepositoryError(f"{full} is a link", "remove it")
    return full.read_bytes() if full.is_file() else None


def _commits(desk: Desk, pending: Sequence[Entry]) -> Iterator[tuple[dict[str, bytes], str]]:
    """The files and the message of each commit: the run's own fixes so that each can be left out, then this review's."""
    fixes, trailers = _fixes(pending), {"Fixbot-Run": desk.result.run}
    together(desk.fixes, fixes)  # or say why not
    numbers = {number: one for one in fixes if (number := stacked(desk.fixes, one)) is not None}
    proofs = _proofs(fixes)
    have: dict[str, bytes] = {}
    for number, news in desk.fixes.stack.steps(sorted(numbers)):
        have |= news
        if number is None:
            yield news, imports_message(trailers)
        else:
            yield from _fix_commit(numbers[number], news, proofs, trailers)
    done = list(numbers.values())
    for entry in fixes:
        if entry not in done:
            done.append(entry)
            news = _news(desk, have, together(desk.fixes, done))
            have |= news
            yield from _fix_commit(entry, news, proofs, trailers)
    muted = [one for one in pending if one.muting is not Muting.NOTHING]
    news = _news(desk, have, _files(desk, pending) | _baseline(muted, _file(desk.workspace.root, BASELINE)))
    if news:
        rules = ", ".join(sorted({one.outcome.finding.rule for one in muted}))
        yield news, f"chore: mute {plural(len(muted), 'false positive')} of {rules}\n\nFixbot-Run: {desk.result.run}\n"


def _fix_commit(
    entry: Entry, news: dict[str, bytes], proofs: Mapping[str, tuple[str, bytes]], trailers: Mapping[str, str]
) -> Iterator[tuple[dict[str, bytes], str]]:
    proof = proofs.get(entry.fingerprint)
    files = news | ({proof[0]: proof[1]} if proof else {})
    if files:
        verdict = entry.outcome.verdict or Verdict(Grade.UNVERIFIABLE).to_json()
        yield files, fix_message(entry.outcome.finding, verdict, trailers)


def _news(desk: Desk, have: Mapping[str, bytes], changed: Mapping[str, bytes]) -> dict[str, bytes]:
    return {path: data for path, data in changed.items() if data != have.get(path, read(desk.workspace.root, path))}


def _words(entries: Sequence[Entry]) -> str:
    fixes, muted = len(_fixes(entries)), sum(one.muting is not Muting.NOTHING for one in entries)
    return " and ".join(filter(None, (plural(fixes, "fix", "fixes") if fixes else "", plural(muted, "muting") if muted else "")))


def write(desk: Desk, where: str) -> str:
    """To the ``tree`` or a ``branch``. Returns a sentence, also about what went wrong."""
    try:
        return to_tree(desk) if where == "tree" else to_branch(desk)
    except FixbotError as error:
        return f"not applied: {error.message}" + (f" ({error.cure})" if error.cure else "")
