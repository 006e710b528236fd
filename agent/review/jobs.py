"""A trial in a thread of its own, so that the screen never waits."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from fixbot.agent import events
from fixbot.agent.errors import FixbotError
from fixbot.agent.events import Emit, Event
from fixbot.agent.result import Outcome
from fixbot.agent.review.trials import Stopped

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Job:
    """What is tried with a finding, how far it is, and what came of it: an outcome, or why there is none."""

    name: str
    finding: str
    progress: str = ""
    outcome: Outcome | None = None
    problem: str = ""

    @property
    def words(self) -> str:
        """What is under way."""
        return f"{self.name}: {self.progress}" if self.progress else self.name

    def start(self, trial: Callable[[Emit], Outcome], ended: Callable[[Job], object]) -> None:
        """Begin; ``ended`` is called from the thread. It does not keep the program from ending."""
        threading.Thread(target=self._work, args=(trial, ended), daemon=True).start()

    def _work(self, trial: Callable[[Emit], Outcome], ended: Callable[[Job], object]) -> None:
        try:
            self.outcome = trial(self._emit)
        except FixbotError as error:
            self.problem = str(error)
        except Stopped:
            self.problem = "stopped"
        except Exception as error:  # a fault of fixbot's own must not end the review
            log.exception("%s", self.name)
            self.problem = f"{type(error).__name__}: {error}"
        ended(self)

    def _emit(self, event: Event) -> None:
        match event:
            case events.Progress(stage, done, total):
                self.progress = f"{stage} {done}/{total}" if total else stage
            case events.SuiteRan(label, _, passed, failed):
                self.progress = f"{label}: {passed} passed, {failed} failed"
            case events.Note(text):
                self.progress = text
            case _:
                pass
