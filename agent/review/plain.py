"""A review by questions and answers, a line each, for dumb terminals and scripts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TextIO

from rich.console import Console
from rich.text import Text

from fixbot.agent.errors import FixbotError
from fixbot.agent.events import Emit
from fixbot.agent.report.output import progress_of
from fixbot.agent.report.text import clean, plural
from fixbot.agent.result import Outcome
from fixbot.agent.review import view
from fixbot.agent.review.desk import Desk, source_of
from fixbot.agent.review.editor import draft, edit
from fixbot.agent.review.fixes import sides
from fixbot.agent.review.keys import PLACES, PLAIN_HELP, REASONS
from fixbot.agent.review.session import Entry, Mark
from fixbot.agent.review.trials import Trials
from fixbot.agent.review.writing import write


class _End(Exception):
    """There is no more input, or the person quits."""


def review_plainly(desk: Desk, trials: Trials, console: Console, source: TextIO, *, quiet: bool = False) -> None:
    """Ask about one finding after another until all are decided, the person quits or the input ends. Raises FixbotError."""
    _Plain(desk, trials, console, source, quiet).run()


@dataclass(slots=True)
class _Plain:
    desk: Desk
    trials: Trials
    console: Console
    source: TextIO
    quiet: bool
    name: str = ""  # of the finding that is asked about

    @property
    def _entry(self) -> Entry:
        return self.desk.review.entries[self.name]

    def run(self) -> None:
        """All questions, then the end."""
        review = self.desk.review
        self._lines([view.summary(review)])
        try:
            while (name := review.next_open(self.name)) is not None:
                self.name = name
                self._decide()
            if review.pending():
                self._write()
        except _End:
            pass
        self._lines([view.summary(review), Text(f"saved; go on with: fixbot review {self.desk.result.run}")])

    def _decide(self) -> None:
        """Ask about a finding until it is decided."""
        self._show()
        keys = f"y,n,a,r,s,e,v,{'m,' * self.desk.settings.asks}o,p,u,w,q,?"
        actions = self._actions()
        while self._entry.mark is Mark.OPEN:
            key = self._ask(f"{'Your decision' if self._entry.obstacle else 'Accept this fix'} [{keys}]? ")
            if key == "q":
                raise _End
            actions.get(key, self._help)()
            self._say(self.desk.review.problem)

    def _actions(self) -> dict[str, Callable[[], None]]:
        review = self.desk.review
        return {
            "y": lambda: self._say(review.accept(self.name)),
            "n": lambda: self._say(review.skip(self.name)),
            "a": self._accept_rule,
            "r": self._reject,
            "s": lambda: self._show(wide=True),
            "o": lambda: self._lines(view.source(self._entry.outcome.finding, source_of(self.desk, self._entry.outcome.finding))),
            "p": lambda: self._say(view.page(self._entry.outcome.finding)),
            "e": self._edit,
            "v": lambda: self._try(lambda emit: self.trials.verify(self._entry, emit)),
            "m": self._model,
            "u": self._undo,
            "w": self._write,
        }

    # What is shown and asked

    def _say(self, text: str) -> None:
        if text:
            self.console.print(Text(clean(text)), soft_wrap=True)

    def _lines(self, lines: Iterable[Text]) -> None:
        for one in lines:
            self.console.print(one, soft_wrap=True)

    def _help(self) -> None:
        self._say(PLAIN_HELP)

    def _show(self, *, wide: bool = False) -> None:
        entry, names = self._entry, list(self.desk.review.entries)
        self._lines([Text(), Text(f"({names.index(self.name) + 1} of {len(names)})", "dim"), *view.about(entry)])
        data = source_of(self.desk, entry.outcome.finding)
        self._lines(view.fix_lines(entry, sides(self.desk.fixes, entry), data, self.console.width, wide=wide))

    def _ask(self, question: str) -> str:
        self.console.print(Text(question, "bold"), end="")
        answer = self.source.readline()
        if not self.source.isatty():
            self.console.print(Text(clean(answer.rstrip("\n"))))
        if not answer:
            raise _End
        return answer.strip()

    # What the keys do

    def _accept_rule(self) -> None:
        rule = self._entry.outcome.finding.rule
        self._say(f"{plural(self.desk.review.accept_rule(rule), 'fix', 'fixes')} of {rule} accepted")

    def _reject(self) -> None:
        for key, (words, *_) in REASONS.items():
            self._say(f"  {key}  {words}")
        found = REASONS.get(self._ask("Why (anything else: back)? "))
        if found is not None:
            _, kind, muting = found
            self._say(self.desk.review.reject(self.name, kind, self._ask("In your words (may be empty): "), muting))

    def _undo(self) -> None:
        names = self.desk.review.undo()
        self._say(f"{plural(len(names), 'decision')} taken back" if names else "nothing to undo")
        if names:
            self.name = names[0]
            self._show()

    def _edit(self) -> None:
        try:
            changed = edit(self.desk, draft(self.desk, self._entry))
            self.trials.check_edited(self._entry, changed)
        except FixbotError as error:
            self._say(str(error))
            return
        self._try(lambda emit: self.trials.try_edited(self._entry, changed, emit))

    def _model(self) -> None:
        if not self.desk.settings.asks:
            self._say("there is no model to ask: start the review with --model")
            return
        hint = self._ask("What should be different? ")
        if hint:
            self._try(lambda emit: self.trials.ask(self._entry, hint, emit))

    def _try(self, trial: Callable[[Emit], Outcome]) -> None:
        try:
            with progress_of(self.quiet) as emit:
                outcome = trial(emit)
        except FixbotError as error:
            self._say(str(error))
            return
        self.desk.review.revise(self.name, outcome)
        self._show()

    def _write(self) -> None:
        for key, (words, _) in PLACES.items():
            self._say(f"  {key}  {words}")
        count = len(self.desk.review.pending())
        found = PLACES.get(self._ask(f"Apply {plural(count, 'decision')} to (anything else: not now)? "))
        if found is not None:
            self._say(write(self.desk, found[1]))
