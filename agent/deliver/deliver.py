"""From a run's proven fixes to pull requests: look at the forge, plan, carry out the plan one write after the other.

Nothing is remembered on this machine: killed at any point, the next delivery finds on the forge what was done and goes on from there.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fixbot.agent import workspace as ws
from fixbot.agent.config import Settings
from fixbot.agent.deliver import body, branches, dashboard, remote
from fixbot.agent.deliver.forge import Forge, Issue, People, Project, Pull, State
from fixbot.agent.deliver.groups import OWNER_FILES, owners
from fixbot.agent.deliver.mark import DASHBOARD, Mark, Memory, Offered, asks_again, commands, read_note
from fixbot.agent.deliver.plan import Action, Forged, Known, Limits, Seen, Step, plan, replaced_code
from fixbot.agent.deliver.remember import remember
from fixbot.agent.errors import ForgeError, RepositoryError
from fixbot.agent.events import Emit, Note, Progress
from fixbot.agent.report.text import plural
from fixbot.agent.result import Outcome, RunResult, Status
from fixbot.agent.workspace import Workspace
from fixbot.patchers.edits import GateError

_LOOKED_AT = 20  # closed pull requests whose comments are read in a delivery
_LEFT = "<!-- fixbot:left -->"
_CLOSED = "<!-- fixbot:closed -->"
_REOPEN = "reopen "
_WANT = "open "


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery: what was done with each group, the dashboard's address, what else a person should know."""

    steps: tuple[Step, ...]
    dashboard: str
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data, as run reports have it under ``delivery``."""
        return {"pulls": [one.to_json() for one in self.steps], "dashboard": self.dashboard, "notes": list(self.notes)}


def deliver(
    result: RunResult, settings: Settings, forge: Forge, path: Path, state: Path, emit: Emit, waits: Sequence[float] = remote.WAITS
) -> Delivery:
    """Open and update the pull requests of a run. ``path`` is a checkout of the repository that has the run's base; ``waits`` are the
    seconds between attempts to reach the forge by git. Raises FixbotError.

    A group that fails does not stop the others; an error of the forge that concerns all of them does.
    """
    project = forge.project()
    if project.archived:
        raise ForgeError(f"{project.url} is archived: nothing can be written to it", "unarchive it, or run without --pr")
    repository = ws.locate(path)
    name = f"deliver-{secrets.token_hex(4)}"
    with ws.lock(state, repository):
        workspace = ws.open_workspace(repository, state, name, trust_owner=settings.trust_owner, base=result.base)
        try:
            work = _Delivery(result, settings, forge, project, workspace, emit, waits)
            done = work.execute()
            remember(work.known, state, repository)
            return done
        finally:
            ws.remove(workspace)


@dataclass(slots=True)
class _Delivery:
    result: RunResult
    settings: Settings
    forge: Forge
    project: Project
    workspace: Workspace
    emit: Emit
    waits: Sequence[float]
    notes: list[str] = field(default_factory=list[str])
    heads: dict[str, str] = field(default_factory=dict[str, str])
    pulls: Sequence[Pull] = ()
    known: Sequence[Known] = ()
    _ours: dict[str, bool] = field(default_factory=dict[str, bool])

    @property
    def base_branch(self) -> str:
        return self.settings.base_branch or self.project.default_branch

    def execute(self) -> Delivery:
        self.emit(Progress("deliver", 0, 0))
        self._check_base()
        fixes = [one for one in self.result.outcomes if one.status is Status.FIXED and one.patch]
        stack = branches.make_stack(self.workspace, fixes)
        issue = self._dashboard()
        forged = self._look(fixes, issue)
        owner = owners(branches.file_at(self.workspace, self.result.base, OWNER_FILES))
        limits = Limits(self.settings.max_open, self.settings.max_new_per_run)
        steps = plan(Seen(fixes, self._is_gone), forged, self.settings.group, owner, limits)
        done: list[Step] = []
        for step in steps:
            self.emit(Progress("deliver", len(done), len(steps)))
            done.append(self._carry_out(step, stack))
        self._prune(done)
        if self.settings.upload_sarif:
            self._scanned()
        url = self._report(issue, done, forged)
        for note in self.forge.notes:
            self._note(note)
        return Delivery(tuple(done), url, tuple(self.notes))

    def _note(self, text: str) -> None:
        self.notes.append(text)
        self.emit(Note(text))

    # Looking

    def _check_base(self) -> None:
        """The run's base must be on the branch that the pull requests are for: else they would bring somebody's work along."""
        tip = remote.fetch(self.workspace, self.forge.remote(), self.base_branch, self.waits)
        if not branches.contains(self.workspace, tip, self.result.base):
            raise RepositoryError(
                f"commit {self.result.base[:12]}, on which the run worked, is not on branch {self.base_branch} of {self.project.url}",
                "push it first, or name the branch by --base-branch; a shallow clone must reach back to it",
            )

    def _dashboard(self) -> Issue | None:
        if not self.settings.dashboard or not self.project.issues:
            return None
        try:
            return self.forge.dashboard(DASHBOARD)
        except ForgeError as error:
            self._note(f"no dashboard: {error.message}")
            return None

    def _look(self, fixes: Sequence[Outcome], issue: Issue | None) -> Forged:
        prefix = self.settings.branch_prefix
        self.heads = remote.heads(self.workspace, self.forge.remote(), prefix, self.waits)
        self.pulls = self.forge.pulls(prefix)
        marks = [(pull, read_note(Mark, pull.body)) for pull in self.pulls]
        self.known = [Known(pull, mark) for pull, mark in marks if mark and (pull.base == self.base_branch or pull.state is not State.OPEN)]
        noted = {one.pull.number for one in self.known}
        ticked = commands(issue.body) if issue else frozenset[str]()
        memory = read_note(Memory, issue.body) if issue else None
        reopened = {int(one.removeprefix(_REOPEN)) for one in ticked if one.startswith(_REOPEN)}
        return Forged(
            known=self.known,
            heads=self.heads,
            is_ours=self._is_ours,
            prefix=prefix,
            reopened=reopened | self._asked_again(fixes, reopened),
            wanted={one.removeprefix(_WANT) for one in ticked if one.startswith(_WANT)},
            first_seen=memory.first_seen if memory else {},
            taken=[pull for pull in self.pulls if pull.state is State.OPEN and pull.number not in noted],
        )

    def _asked_again(self, fixes: Sequence[Outcome], reopened: set[int]) -> set[int]:
        """Closed pull requests with a fix of this run on which somebody asks to offer it again."""
        offered = {(one.finding.fingerprint, replaced_code(one)) for one in fixes}
        closed = [one for one in self.known if one.pull.state is not State.OPEN and not one.mark.retired]
        asked = [one.pull.number for one in closed if offered & {(fix.finding, fix.code) for fix in one.mark.fixes}]
        return {
            number
            for number in asked[:_LOOKED_AT]
            if number not in reopened and asks_again([one.body for one in self.forge.comments(number) if one.trusted])
        }

    def _is_ours(self, sha: str) -> bool:
        if sha not in self._ours:
            branch = next(name for name, head in self.heads.items() if head == sha)
            self._ours[sha] = remote.fetch(self.workspace, self.forge.remote(), branch, self.waits) == sha and remote.is_ours(
                self.workspace, sha
            )
        return self._ours[sha]

    def _is_gone(self, fix: Offered) -> bool:
        """Whether the run looked for a finding everywhere and it is not there, or is muted."""
        result = self.result
        looked = result.whole and fix.rule in result.rules and not any(one.path == fix.path for one in result.skipped)
        there = any(one.finding.fingerprint == fix.finding and one.status is not Status.SUPPRESSED for one in result.outcomes)
        return looked and not there

    # Acting

    def _carry_out(self, step: Step, stack: branches.Stack) -> Step:
        """Do it; the step as it came out."""
        try:
            match step.action:
                case Action.OPEN | Action.UPDATE:
                    return self._offer(step, stack)
                case Action.LEAVE if step.mark and step.pull and step.branch in self.heads:
                    text = "This branch has commits that are not fixbot's. It is yours from now on: fixbot leaves it alone."
                    self.forge.comment(step.pull.number, text, _LEFT)
                case Action.CLOSE:
                    self._close(step)
                case _:
                    pass
        except remote.Moved as moved:
            return replace(step, action=Action.LEAVE, reason=moved.message)
        except GateError as refused:
            return replace(step, action=Action.REFUSED, reason=str(refused))
        return step

    def _offer(self, step: Step, stack: branches.Stack) -> Step:
        """Open or update a pull request with those of a step's fixes that stand on their own."""
        fixes, standing = stack.split(step.fixes)
        reason = f"{plural(len(standing), 'fix', 'fixes')} must wait for others that they were made on top of" if standing else ""
        if not fixes:
            return replace(step, action=Action.WAIT if step.pull is None else Action.KEEP, reason=reason)
        branches.check_group(stack, fixes)
        run, before = self.result.run, self.heads.get(step.branch)
        tip = branches.build(stack, fixes, step.branch, run)
        same = step.mark and step.mark.base == self.result.base and before and branches.same_tree(self.workspace, before, tip)
        kept = step.mark if same else None
        if kept:
            run = kept.run  # nothing new: no push, no mail to anybody
        else:
            remote.push(self.workspace, self.forge.remote(), step.branch, tip, before, self.waits)
            self.heads[step.branch] = tip
        offered = tuple(
            Offered(finding=one.finding.fingerprint, rule=one.finding.rule, path=one.finding.path, code=replaced_code(one)) for one in fixes
        )
        pull = self._publish(step, fixes, Mark(key=step.key, base=self.result.base, run=run, fixes=offered))
        return replace(step, action=Action.KEEP if kept else step.action, pull=pull, reason=reason, fixes=tuple(fixes))

    def _publish(self, step: Step, fixes: Sequence[Outcome], mark: Mark) -> Pull:
        settings, title, text = self.settings, body.title(fixes), body.body(fixes, self.result, mark, self.settings.rules_url)
        if step.pull is not None:
            same = step.mark is not None and {one.finding for one in step.mark.fixes} == {one.finding for one in mark.fixes}
            news = None if same else title  # a title that somebody has changed stays as long as it can be right
            if news or not _same_text(text, step.pull.body):
                self.forge.edit_pull(step.pull.number, title=news, body=text)
            return step.pull
        pull = self.forge.open_pull(step.branch, self.base_branch, title, text, draft=settings.draft)
        if not _same_text(text, pull.body):
            self.forge.edit_pull(pull.number, title=title, body=text)
        people = People(settings.labels, settings.reviewers, settings.assignees)
        for problem in self.forge.invite(pull.number, people):
            self._note(f"#{pull.number}: {problem}")
        return pull

    def _close(self, step: Step) -> None:
        """Close a pull request whose findings are gone; its note says that nobody declined it."""
        assert step.pull is not None
        assert step.mark is not None
        pull, retired = step.pull, body.with_note(step.pull.body, step.mark.model_copy(update={"retired": True}))
        self.forge.comment(pull.number, f"Closed: {step.reason} (as of {self.result.base[:12]}).", _CLOSED)
        self.forge.edit_pull(pull.number, body=retired, close=True)
        if step.branch in self.heads:
            remote.delete(self.workspace, self.forge.remote(), step.branch, self.heads.pop(step.branch), self.waits)

    def _prune(self, steps: Sequence[Step]) -> None:
        """Delete branches of ours that never became a pull request: a killed delivery left them."""
        used = {one.branch for one in steps} | {pull.branch for pull in self.pulls}
        for branch, head in list(self.heads.items()):
            if branch not in used and self._is_ours(head):
                remote.delete(self.workspace, self.forge.remote(), branch, head, self.waits)

    # Telling

    def _scanned(self) -> None:
        """Hand the findings to code scanning; that fixbot cannot is told, but costs no pull request."""
        from fixbot.agent.report.sarif import sarif

        findings = [one.finding for one in self.result.outcomes if one.status is not Status.SUPPRESSED]
        try:
            where = self.forge.upload_sarif(sarif(findings), self.result.base, f"refs/heads/{self.base_branch}")
            self._note(f"findings handed to code scanning{f': {where}' if where else ''}")
        except ForgeError as error:
            self._note(f"the findings were not handed to code scanning: {error}")

    def _report(self, issue: Issue | None, steps: Sequence[Step], forged: Forged) -> str:
        if not self.settings.dashboard or not self.project.issues or (issue is None and not steps and not self.result.left):
            return issue.url if issue else ""
        today = time.strftime("%Y-%m-%d", time.gmtime())
        memory = Memory(first_seen={step.key: forged.first_seen.get(step.key, today) for step in steps if step.action is Action.WAIT})
        text = dashboard.render(steps, self.result, memory)
        try:
            return self.forge.save_dashboard(issue, dashboard.TITLE, text, DASHBOARD).url
        except ForgeError as error:
            self._note(f"the dashboard was not written: {error.message}")
            return ""


def _same_text(one: str, other: str) -> bool:
    """Whether two bodies are the same: forges change line ends and what is at the end."""
    return one.replace("\r\n", "\n").strip() == other.replace("\r\n", "\n").strip()
