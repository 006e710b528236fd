"""A model whose answers are files of an evaluation repository, so that the machinery can be measured without an endpoint.

<name>/replies/<bug id>/good.md    a correct fix
<name>/replies/<bug id>/wrong.md   a plausible fix that leaves the bug
<name>/replies/<bug id>/cheat.md   an attempt to get past the gate or the tests
<name>/replies/<bug id>/proof.md   a test that fails without a correct fix and passes with it
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from fixbot.agent.errors import UsageError
from fixbot.patchers.model.messages import Reply, Request, Usage

REPLIES = "replies"
NO_REPLY = "no scripted reply"


class Script(StrEnum):
    """Which of the replies are given."""

    GOOD = "good"
    WRONG = "wrong"
    CHEAT = "cheat"
    ALL = "all"


def scripts(wanted: list[Script]) -> tuple[Script, ...]:
    """The kinds asked for, each once, in a fixed order."""
    return tuple(kind for kind in Script if kind is not Script.ALL and (kind in wanted or Script.ALL in wanted))


def has_reply(folder: Path, bug: str, kind: Script) -> bool:
    """Whether an evaluation repository has a reply of a kind for a bug."""
    return (folder / REPLIES / bug / f"{kind.value}.md").is_file()


class ScriptedModel:
    """Answers each question from the files of the bug that its finding is of: ``bugs`` holds the bug's id by the finding's fingerprint.

    A repair gets the fix's text again: the model insists. Where there is no file the answer is an abstention. ``prompts`` are the tokens
    of each finding's first prompt. All figures are estimates from the number of bytes.
    """

    def __init__(self, folder: Path, kind: Script, bugs: Mapping[str, str]) -> None:
        self._folder, self._kind, self._bugs = folder / REPLIES, kind, bugs
        self.prompts: dict[str, int] = {}

    def complete(self, request: Request) -> Reply:
        """The answer. Raises UsageError for a file that cannot be read."""
        from fixbot.patchers.model.context import tokens

        prompt = sum(tokens(message.content) for message in request.messages)
        if request.purpose == "fix":
            self.prompts.setdefault(request.finding, prompt)
        text = self._text(self._bugs.get(request.finding), "proof" if request.purpose == "proof" else self._kind.value)
        return Reply(text, "scripted", Usage(prompt, tokens(text), estimated=True), None, 0.0)

    def _text(self, bug: str | None, name: str) -> str:
        path = self._folder / (bug or "") / f"{name}.md"
        if bug is None or not path.is_file():
            return f"ABSTAIN: {NO_REPLY}"
        try:
            return path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"the reply {path} cannot be read: {error}") from None
