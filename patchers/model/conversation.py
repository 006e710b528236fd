"""Ask a model for the fix of one finding, and go on asking while it may still mend what was wrong with its answer."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from fixbot.detectors.finding import Finding
from fixbot.patchers.edits import GateError
from fixbot.patchers.model.context import Context, ContextError, fenced, plain
from fixbot.patchers.model.gate import check_reply_patch
from fixbot.patchers.model.matching import make_edits
from fixbot.patchers.model.messages import Message, Model, ModelError, Reply, ReplyError, Request
from fixbot.patchers.model.reply import EditError, read_reply, reply_schema
from fixbot.patchers.model.secrets import mask, unmask
from fixbot.patchers.patch import Origin, Patch, blob_id
from fixbot.prompts import load

log = logging.getLogger(__name__)
REPAIRS = 2
_OUTPUT = 6000  # characters of test output in a repair prompt
_MEND = ("cut-off", "empty", "malformed", "too-large")


class Declined(Exception):
    """The model will not fix this finding, or must not; the text says why, in the words that reports show."""


class Failed(Exception):
    """The model's answers could not be used, and there is no repair round left; the text says what was wrong with the last one."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the patches of one finding may do: see ``check_reply_patch``."""

    root: Path
    tracked: Collection[str]
    allows: Collection[str] = ()
    dependencies: bool = False
    max_lines: int = 40


@dataclass(frozen=True, slots=True)
class Candidate:
    """A patch that passed the gate, and the branch of the conversation that led to it."""

    patch: Patch
    sample: int
    messages: tuple[Message, ...]


@dataclass(slots=True)
class Spend:
    """What a finding has cost so far. ``cost`` is in USD; None without prices."""

    model: str = ""
    tokens: int = 0
    cost: float | None = None

    def add(self, reply: Reply) -> None:
        """Count a reply."""
        self.model = reply.model
        self.tokens += reply.usage.prompt + reply.usage.completion
        if reply.cost is not None:
            self.cost = (self.cost or 0.0) + reply.cost

    def merge(self, other: Spend) -> None:
        """Add what something else for the same finding took."""
        self.model = self.model or other.model
        self.tokens += other.tokens
        if other.cost is not None:
            self.cost = (self.cost or 0.0) + other.cost

    def to_json(self) -> dict[str, Any]:
        """Plain data for reports."""
        return {"model": self.model or None, "tokens": self.tokens, "cost": self.cost}


@dataclass(slots=True)
class Conversation:
    """The questions and answers about one finding. ``build`` makes its context within so many tokens; it may raise ContextError.

    ``hint`` is what a person adds to the first question; ``sample`` is the number of the answer that counts.
    """

    finding: Finding
    model: Model
    build: Callable[[int], Context]
    limit: int
    repairs: int = REPAIRS
    spend: Spend = field(default_factory=Spend)
    context: Context | None = None
    hint: str = ""
    sample: int = 0
    _messages: tuple[Message, ...] = ()

    def propose(self, rules: Rules, samples: int = 1) -> list[Candidate]:
        """Ask for a fix, ``samples`` times at once; the patches that pass the gate, those with the fewest bytes first.

        Of several samples some may fail, by whatever error; where all do, the one that can best be mended is gone on with. Raises
        Declined or Failed when there is none; ModelError when the model cannot be asked.
        """
        try:
            self.context = self.build(self.limit)
        except ContextError as error:
            raise Declined(str(error)) from None
        self._messages = (Message("system", load("fix")), self._question(self.context))
        if samples == 1:
            return [self._ask(rules, "fix")]
        with ThreadPoolExecutor(samples) as pool:
            tries = list(pool.map(partial(self._one_of_many, rules), range(samples)))
        found = [one for one in tries if isinstance(one, Candidate)]
        errors = [one for one in tries if isinstance(one, Exception)]
        for error in errors:
            log.info("%s: a candidate less: %s", self.finding.path, error)
        if not found:
            best = min(errors, key=_hopeless)
            if isinstance(best, ModelError) and not isinstance(best, ReplyError):
                raise best
            self.sample = tries.index(best)
            return [self._ask(rules, "fix")]  # its answer again, with repair rounds
        unique = {candidate.patch.edits: candidate for candidate in reversed(found)}
        return sorted(unique.values(), key=lambda candidate: (_size(candidate.patch), candidate.sample))

    def repair(self, rules: Rules, reason: str, output: str = "") -> Candidate:
        """Tell what was wrong with the fix once it was applied, and ask for a better one. Raises as ``propose`` does."""
        if not self.repairs:
            raise Failed(reason)
        self.repairs -= 1
        text = f"{load('repair-tests')}\n\n{plain(reason)}"
        if output:
            text += f"\n\n{fenced(plain(output[-_OUTPUT:]))}"
        self._messages += (Message("user", text),)
        return self._ask(rules, "repair")

    def redo(self, rules: Rules) -> Candidate:
        """The last answer once more, on files that have changed since. Raises as ``propose`` does."""
        *before, last = self._messages
        self._messages = tuple(before)
        return self._ask(rules, "fix", last.content)

    @property
    def answered(self) -> bool:
        """Whether there is an answer to ``redo``."""
        return bool(self._messages) and self._messages[-1].role == "assistant"

    def resume_at(self, candidate: Candidate) -> None:
        """Go on from the answer that gave this candidate."""
        self._messages, self.sample = candidate.messages, candidate.sample

    def _question(self, context: Context) -> Message:
        return Message("user", f"{context.text}\n\n{self.hint}" if self.hint else context.text)

    def _one_of_many(self, rules: Rules, number: int) -> Candidate | Exception:
        try:
            text = self._complete(self._messages, "fix", number)
            return self._candidate(rules, text, self._messages, number)
        except (EditError, GateError, Declined, ModelError) as error:
            return error

    def _ask(self, rules: Rules, purpose: str, text: str = "") -> Candidate:
        """Ask until an answer can be used. ``text`` is an answer that is there already."""
        while True:
            try:
                text = text or self._complete(self._messages, purpose, self.sample)
                return self._candidate(rules, text, self._messages, self.sample)
            except (EditError, GateError) as error:
                reason = str(error)
            except ReplyError as error:
                reason = self._mendable(error)
                if error.kind == "context-too-long":
                    continue
            if not self.repairs:
                raise Failed(reason)
            self.repairs -= 1
            said = (Message("assistant", text),) if text else ()
            self._messages += (*said, Message("user", f"{load('repair-edit')}\n\n{plain(reason)}"))
            purpose, text = "repair", ""

    def _mendable(self, error: ReplyError) -> str:
        """The reason to put before the model; or the end of the conversation. A prompt that is too long is cut down once."""
        if error.kind in ("filtered", "refusal"):
            raise Declined(str(error))
        if error.kind == "context-too-long" and self.limit >= 2000 and len(self._messages) == 2:
            self.limit //= 2
            try:
                self.context = self.build(self.limit)
            except ContextError:
                raise Failed(str(error)) from None
            self._messages = (self._messages[0], self._question(self.context))
        elif error.kind not in _MEND:
            raise Failed(str(error))
        return str(error)

    def _complete(self, messages: Sequence[Message], purpose: str, sample: int) -> str:
        sent, secrets = masked(messages)
        place = f"{self.finding.rule} {self.finding.path}:{self.finding.span.line}"
        reply = self.model.complete(Request(sent, purpose, self.finding.fingerprint, place, sample, reply_schema()))
        self.spend.add(reply)
        return unmask(reply.text, secrets).replace("\0", "")

    def _candidate(self, rules: Rules, text: str, messages: tuple[Message, ...], sample: int) -> Candidate:
        assert self.context is not None
        answer = read_reply(text, self.finding.path)
        if answer.abstained:
            raise Declined(f"the model abstains: {plain(answer.abstained)}")
        files = {path: (rules.root / path).read_bytes() for path in self.context.editable if path in rules.tracked}
        edits = make_edits(answer.replacements, files)
        bases = {path: blob_id(files[path]) for path in sorted({edit.path for edit in edits})}
        patch = Patch(self.finding.fingerprint, self.finding.rule, Origin.MODEL, self.finding.fix.safety, bases, edits)
        check_reply_patch(
            patch,
            rules.root,
            rules.tracked,
            self.context.editable,
            allows=rules.allows,
            dependencies=rules.dependencies,
            max_lines=rules.max_lines,
        )
        return Candidate(patch, sample, (*messages, Message("assistant", text)))


def masked(messages: Sequence[Message]) -> tuple[tuple[Message, ...], dict[str, str]]:
    """The messages without secrets, and what their placeholders stand for; the same in every message."""
    hidden = mask("\0".join(message.content for message in messages))
    parts = hidden.text.split("\0")
    return tuple(Message(message.role, part) for message, part in zip(messages, parts, strict=True)), dict(hidden.secrets)


def _hopeless(error: Exception) -> int:
    """Smaller is better: an answer that can be mended, one that is of no use, none at all."""
    if isinstance(error, EditError | GateError):
        return 0
    return 1 if isinstance(error, ReplyError | Declined) else 2


def _size(patch: Patch) -> int:
    return sum(len(edit.new) + edit.end - edit.start for edit in patch.edits)
