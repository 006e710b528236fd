"""The screens over the list: a choice by key, a line of text, a text to read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from rich.console import RenderableType
from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Static


class Choice(ModalScreen[str]):
    """A question with an answer a key; every other key means none, ``""``. ``answers`` tell by key what it means."""

    DEFAULT_CSS = """
    Choice { align: center middle; }
    Choice > Vertical { width: 64; max-width: 100%; height: auto; border: round $accent; padding: 0 1; }
    """

    def __init__(self, question: str, answers: Mapping[str, str]) -> None:
        super().__init__()
        self._question, self._answers = question, answers

    def compose(self) -> ComposeResult:
        """The question, then the answers."""
        with Vertical():
            yield Static(Text(self._question, "bold"))
            for key, words in self._answers.items():
                yield Static(Text.assemble((f" {key}  ", "bold"), words))
            yield Static(Text("any other key: back", "dim"))

    def on_key(self, event: events.Key) -> None:
        """Any key is an answer."""
        event.stop()
        self.dismiss(event.character if event.character in self._answers else "")


class Ask(ModalScreen[str | None]):
    """A line of text from the person; None when they change their mind."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "back")]
    DEFAULT_CSS = """
    Ask { align: center middle; }
    Ask > Vertical { width: 76; max-width: 100%; height: auto; border: round $accent; padding: 0 1; }
    """

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        """The question and the line."""
        with Vertical():
            yield Static(Text(self._question, "bold"))
            yield Input(max_length=500, compact=True)
            yield Static(Text("enter: go on   escape: back", "dim"))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """The line is complete."""
        event.stop()
        self.dismiss(event.value.strip())


class Reading(ModalScreen[None]):
    """Something to read; ``line`` is the row that is to be seen at first."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter,o,p,question_mark", "dismiss(None)", "back"),
        Binding("j,down", "scroll(1)", "down"),
        Binding("k,up", "scroll(-1)", "up"),
    ]
    DEFAULT_CSS = """
    Reading > VerticalScroll { border: round $accent; padding: 0 1; }
    Reading .keys { dock: bottom; height: 1; }
    """

    def __init__(self, text: RenderableType, line: int = 0) -> None:
        super().__init__()
        self._text, self._line = text, line

    def compose(self) -> ComposeResult:
        """The text and how to leave it."""
        with VerticalScroll():
            yield Static(self._text, markup=False)
        yield Static(Text("up, down, page up, page down: scroll   escape or q: back", "dim"), classes="keys")

    def on_mount(self) -> None:
        """Go to the row."""
        scroll = self.query_one(VerticalScroll)
        scroll.focus()
        if self._line:
            self.call_after_refresh(scroll.scroll_to, y=self._line, animate=False)

    def action_scroll(self, rows: int) -> None:
        """Up or down."""
        self.query_one(VerticalScroll).scroll_relative(y=rows, animate=False)
