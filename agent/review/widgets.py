"""What the review's screen is made of: the list, its looks, its keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, cast

from rich.style import Style
from rich.text import Text
from textual.app import App
from textual.binding import Binding, BindingType
from textual.strip import Strip
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

CSS = """
#summary, #keys, #message { height: 1; padding: 0 1; }
#summary, #keys { background: $panel; }
Findings { height: auto; max-height: 35%; min-height: 3; border: none; padding: 0; scrollbar-size-vertical: 1; }
Findings > .option-list--option-highlighted, Findings:focus > .option-list--option-highlighted { background: #26415c; }
#detail { height: 1fr; padding: 0 1; scrollbar-size-vertical: 1; border-top: solid $accent; }
#detail:focus { border-top: solid $warning; }
#about { height: auto; margin-bottom: 1; }
#fix { width: auto; height: auto; text-wrap: nowrap; }
Filter { display: none; height: 1; border: none; padding: 0 1; }
Filter.shown { display: block; }
"""

BINDINGS: list[BindingType] = [
    Binding("a", "accept", "accept"),
    Binding("r", "reject", "reject"),
    Binding("n,space", "skip", "skip"),
    Binding("A", "accept_rule", "accept all of this rule"),
    Binding("e", "edit", "edit"),
    Binding("m", "model", "ask the model"),
    Binding("v", "verify", "verify"),
    Binding("u", "undo", "undo"),
    Binding("w", "write", "apply"),
    Binding("s", "sides", "side by side"),
    Binding("p", "page", "rule's page"),
    Binding("o", "source", "source"),
    Binding("slash", "filter", "filter"),
    Binding("escape", "leave_filter", "leave the filter"),
    Binding("question_mark", "help", "help"),
    Binding("q,ctrl+q,ctrl+c", "leave", "quit"),
]

OF_ONE = {"accept", "accept_rule", "edit", "model", "page", "reject", "skip", "source", "verify"}
"""Actions that are about the finding that is looked at."""


class Findings(OptionList):
    """The list. Page keys belong to the fix below it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("pagedown", "app.scroll_fix(1)"),
        Binding("pageup", "app.scroll_fix(-1)"),
        Binding("j", "cursor_down"),
        Binding("k", "cursor_up"),
    ]

    def show(self, rows: Mapping[str, Text], current: str) -> None:
        """Show these rows, by finding; only those that are new are drawn anew."""
        names = [option.id for option in self.options]
        if names != list(rows):
            self.set_options(Option(row, id=name) for name, row in rows.items())
        else:
            for name, row in rows.items():
                if row != self.get_option(name).prompt:
                    self.replace_option_prompt(name, row)
        self.highlighted = list(rows).index(current) if current in rows else None

    def render_line(self, y: int) -> Strip:
        """A line of the list; the current one stands out without colour, too."""
        strip = super().render_line(y)
        here = cast("App[object]", self.app).no_color and self.scroll_offset.y + y == self.highlighted  # each finding is one line
        return strip.apply_style(Style(reverse=True)) if here else strip


class Filter(Input):
    """The words that findings are filtered by; seen while there are any."""

    def __init__(self) -> None:
        super().__init__(placeholder="words of severity, rule, path, grade, status or message", compact=True)

    def open(self) -> None:
        """Ask for words."""
        self.add_class("shown")
        self.focus()

    def close(self, *, keep: bool) -> None:
        """Be done with asking; the words are forgotten unless they are kept."""
        self.value = self.value if keep else ""
        self.set_class(bool(self.value), "shown")
