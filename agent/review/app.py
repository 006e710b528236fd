"""The review's screen: the findings above, one of them with its fix below, the keys at the bottom."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import nullcontext
from typing import ClassVar

from rich.markdown import Markdown
from rich.text import Text
from textual import work
from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.containers import ScrollableContainer
from textual.events import Resize
from textual.widgets import Input, Static

from fixbot.agent.errors import FixbotError
from fixbot.agent.events import Emit
from fixbot.agent.report.text import clean, line, plural
from fixbot.agent.result import Outcome
from fixbot.agent.review import view
from fixbot.agent.review.desk import Desk, source_of
from fixbot.agent.review.dialogs import Ask, Choice, Reading
from fixbot.agent.review.editor import attempt, draft
from fixbot.agent.review.fixes import sides
from fixbot.agent.review.jobs import Job
from fixbot.agent.review.keys import HELP, PLACES, REASONS, hints
from fixbot.agent.review.session import Entry, bound
from fixbot.agent.review.trials import Trials
from fixbot.agent.review.widgets import BINDINGS, CSS, OF_ONE, Filter, Findings
from fixbot.agent.review.writing import write

_TICK = 0.1  # seconds between two looks at the progress of a trial


class ReviewApp(App[None]):
    """A review on the screen. All decisions are in ``desk.review``; this shows it and passes keys on."""

    CSS = CSS
    BINDINGS: ClassVar[list[BindingType]] = BINDINGS
    ENABLE_COMMAND_PALETTE = False

    def __init__(self, desk: Desk, trials: Trials) -> None:
        super().__init__(ansi_color=True if "NO_COLOR" in os.environ else None)
        self.desk, self.trials = desk, trials
        self.current = next(iter(desk.review.entries))
        self._wide: bool | None = None  # as the person wants it; None: by the screen's width
        self._drafts: dict[str, dict[str, bytes]] = {}
        self.job: Job | None = None
        self._leaving = False

    def compose(self) -> ComposeResult:
        """The parts, from above."""
        yield Static(id="summary", markup=False)
        yield Findings(markup=False)
        with ScrollableContainer(id="detail"):
            yield Static(id="about", markup=False)
            yield Static(id="fix", markup=False)
        yield Filter()
        yield Static(id="message", markup=False)
        yield Static(id="keys", markup=False)

    def on_mount(self) -> None:
        """Begin at the first finding without a decision."""
        self.set_interval(_TICK, lambda: self._tick() if self.job else None)
        self.current = self.desk.review.next_open("") or self.current
        self.query_one(Findings).focus()

    def on_resize(self, event: Resize) -> None:
        """Everything is laid out for the width."""
        self._list()
        self.query_one("#keys", Static).update(hints(event.size.width - 2))

    # What is shown

    @property
    def entry(self) -> Entry:
        """The finding that is looked at."""
        return self.desk.review.entries[self.current]

    def _list(self) -> None:
        """Show the list anew, on the current finding where the filter lets it through."""
        width = max(40, self.size.width - 2)
        rows = {one.fingerprint: view.row(one, width) for one in self.desk.review.shown()}
        if rows and self.current not in rows:
            self.current = next(iter(rows))
        self.query_one(Findings).show(rows, self.current)
        self._show(bool(rows))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Nothing is done to a finding that the filter hides."""
        return action not in OF_ONE or self.query_one(Findings).highlighted is not None

    def _show(self, any_: bool = True) -> None:
        """Show the current finding, if any is shown."""
        self._tick()
        self.query_one("#detail").display = any_
        entry, data = self.entry, source_of(self.desk, self.entry.outcome.finding)
        wide = self.size.width >= view.WIDE if self._wide is None else self._wide
        fix = view.fix_lines(entry, sides(self.desk.fixes, entry), data, self.size.width - 4, wide=wide)
        self.query_one("#about", Static).update(Text("\n").join(view.about(entry)))
        self.query_one("#fix", Static).update(Text("\n").join(fix))
        self.query_one("#detail").scroll_home(animate=False)

    def tell(self, text: str) -> None:
        """Say something in the line above the keys."""
        self.query_one("#message", Static).update(Text(line(text), no_wrap=True, overflow="ellipsis"))

    def on_option_list_option_highlighted(self) -> None:
        """Another finding is looked at: the one that the list is at by now."""
        option = self.query_one(Findings).highlighted_option
        if option is not None and option.id is not None and option.id != self.current:
            self.current = option.id
            self._show()

    def look_at(self, name: str) -> None:
        """Go to a finding."""
        self.current = name
        self._list()

    def _decided(self, obstacle: str, words: str) -> None:
        """After a decision: on to the next finding without one; or what stands in its way."""
        following = None if obstacle else self.desk.review.next_open(self.current)
        self.look_at(following or self.current)
        left = "" if obstacle or following else "; all are decided: w applies what is accepted"
        self.tell(obstacle or words + left)

    # Decisions

    def action_accept(self) -> None:
        """Accept the fix."""
        self._decided(self.desk.review.accept(self.current), "accepted")

    def action_skip(self) -> None:
        """Leave the finding undecided."""
        self._decided(self.desk.review.skip(self.current), "skipped")

    def action_accept_rule(self) -> None:
        """Accept all proven fixes of the rule."""
        rule = self.entry.outcome.finding.rule
        self._decided("", f"{plural(self.desk.review.accept_rule(rule), 'fix', 'fixes')} of {rule} accepted")

    def action_undo(self) -> None:
        """Take the last decision back."""
        names = self.desk.review.undo()
        self.look_at(names[0] if names else self.current)
        self.tell(f"{plural(len(names), 'decision')} taken back" if names else "nothing to undo")

    @work
    async def action_reject(self) -> None:
        """Ask why, then reject."""
        name = self.current
        key = await self.push_screen_wait(Choice("Reject: why?", {key: words for key, (words, *_) in REASONS.items()}))
        if not key:
            return
        words, kind, muting = REASONS[key]
        reason = await self.push_screen_wait(Ask("In your words (may be empty)"))
        if reason is not None:
            self._decided(self.desk.review.reject(name, kind, reason, muting), words)

    @work
    async def action_write(self) -> None:
        """Ask where to, then apply."""
        count = len(self.desk.review.pending())
        if not count:
            self.tell("nothing is accepted that was not applied already")
            return
        places = {key: words for key, (words, _) in PLACES.items()}
        key = await self.push_screen_wait(Choice(f"Apply {plural(count, 'decision')} to", places))
        if key:
            text = write(self.desk, PLACES[key][1])
            self._list()
            self.tell(text)

    # Trials, in a thread of their own

    def action_verify(self) -> None:
        """Run the tests with the fix."""
        entry = self.entry
        self._try("verify", lambda emit: self.trials.verify(entry, emit))

    def action_edit(self) -> None:
        """Open the fix in the editor, then try what came of it."""
        entry, obstacle = self.entry, self._hindered()
        if obstacle:
            self.tell(obstacle)
            return
        with nullcontext() if self.is_headless else self.suspend():
            changed = attempt(self.desk, self._drafts.get(self.current) or draft(self.desk, entry))
        try:
            if isinstance(changed, FixbotError):
                raise changed
            self._drafts[self.current] = {path: new for path, (_, new) in changed.items()}
            self.trials.check_edited(entry, changed)
        except FixbotError as error:
            self.tell(str(error))
            return
        self._try("try the edited fix", lambda emit: self.trials.try_edited(entry, changed, emit))

    def _hindered(self) -> str:
        """Why the fix cannot be changed now, ``""`` when it can."""
        return f"wait: {self.job.name} is under way" if self.job else bound(self.entry)

    @work
    async def action_model(self) -> None:
        """Ask for a hint, then the model for another fix."""
        entry, asks = self.entry, self.desk.settings.asks
        obstacle = self._hindered() if asks else "there is no model to ask: start the review with --model"
        if obstacle:
            self.tell(obstacle)
            return
        hint = await self.push_screen_wait(Ask("What should be different?"))
        if hint:
            self._try("ask the model", lambda emit: self.trials.ask(entry, hint, emit))

    def _try(self, job: str, trial: Callable[[Emit], Outcome]) -> None:
        if self.job:
            self.tell(f"wait: {self.job.name} is under way")
            return
        self.job = Job(job, self.current)
        self.trials.stop.clear()
        self.job.start(trial, lambda ended: self.call_from_thread(self._tried, ended))

    def _tick(self) -> None:
        """The line at the top: where the review stands, and what is under way."""
        under_way = Text(f"   {line(self.job.words)}", "bold") if self.job else Text()
        self.query_one("#summary", Static).update(Text.assemble(view.summary(self.desk.review), under_way, no_wrap=True))

    def _tried(self, job: Job) -> None:
        self.job = None
        told = job.problem
        if job.outcome is not None:
            self.desk.review.revise(job.finding, job.outcome)
            self._drafts.pop(job.finding, None)
            grade = self.desk.review.entries[job.finding].grade
            told = f"{grade}: {job.outcome.reason}" if job.outcome.reason else grade
        self._list()
        self.tell(f"{job.name}: {told}")
        if self._leaving:
            self.exit()

    # Looking around

    def action_sides(self) -> None:
        """The two sides beside or below each other."""
        self._wide = not (self.size.width >= view.WIDE if self._wide is None else self._wide)
        self._show()

    def action_scroll_fix(self, pages: int) -> None:
        """Up or down in the fix."""
        detail = self.query_one("#detail")
        detail.scroll_relative(y=pages * max(1, detail.size.height - 1), animate=False)

    def action_page(self) -> None:
        """The rule's page."""
        self.push_screen(Reading(Markdown(clean(view.page(self.entry.outcome.finding)))))

    def action_source(self) -> None:
        """The file of the finding, at its line."""
        one = self.entry.outcome.finding
        text = Text("\n", no_wrap=True).join(view.source(one, source_of(self.desk, one), None))
        self.push_screen(Reading(text, max(0, one.span.line - 6)))

    def action_help(self) -> None:
        """What the keys do."""
        self.push_screen(Reading(Text(HELP)))

    def action_filter(self) -> None:
        """Ask for words."""
        self.query_one(Filter).open()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Show what holds the words so far."""
        if isinstance(event.input, Filter):
            self.desk.review.query = event.value
            self._list()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Back to the list, filtered."""
        if isinstance(event.input, Filter):
            self.action_leave_filter(keep=True)

    def action_leave_filter(self, *, keep: bool = False) -> None:
        """Back to the list, all of it unless the filter is kept."""
        self.query_one(Filter).close(keep=keep)
        self.query_one(Findings).focus()

    def action_leave(self) -> None:
        """Quit; everything is saved already. A trial is given the time to end what it is at, unless the person insists."""
        if self.job and not self._leaving:
            self.trials.stop.set()
            self._leaving = True
            self.tell("stopping the trial; q again quits without waiting")
        else:
            self.exit()
