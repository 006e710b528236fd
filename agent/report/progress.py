"""A run as it happens, on standard error: a live line at a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from fixbot.agent import events
from fixbot.agent.events import Emit, Event
from fixbot.agent.report.text import inert, line, plural


@contextmanager
def progress(console: Console) -> Generator[Emit]:
    """A function that shows events until the block ends."""
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        yield _Show(console, bar).show


class _Show:
    def __init__(self, console: Console, bar: Progress) -> None:
        self._console = console
        self._bar = bar
        self._task: TaskID | None = None
        self._stage = ""

    def show(self, event: Event) -> None:
        """Print a line for what is over, move the live line for what is under way."""
        match event:
            case events.Progress(stage, done, total):
                self._move(stage, done, total)
            case events.Started():
                where = f"{line(event.repository)} at {event.base[:10]}"
                self._say(f"{'resuming' if event.resumed else 'run'} {event.run}: {where}, sandbox {event.sandbox}")
            case events.Note(text):
                self._say(f"note: {line(text)}")
            case events.Found():
                self._say(f"found {plural(event.findings, 'finding')} in {plural(event.files, 'file')}; {event.fixable} to try to fix")
            case events.SuiteRan():
                result = f"problem: {line(event.problem)}" if event.problem else f"{event.passed} passed, {event.failed} failed"
                self._say(f"{event.label}: {result} ({event.seconds:.1f} s)")
            case events.Delivered():
                self._say(f"branch {event.branch}: {plural(event.commits, 'commit')}")
            case events.Decided() | events.Committed():
                pass

    def _move(self, stage: str, done: int, total: int) -> None:
        if self._task is None or stage != self._stage:
            if self._task is not None:
                self._bar.remove_task(self._task)
            self._task = self._bar.add_task(stage, total=total or None)
            self._stage = stage
        self._bar.update(self._task, completed=done, total=total or None)

    def _say(self, text: str) -> None:
        self._console.print(Text(inert(text), "dim"), soft_wrap=True)
