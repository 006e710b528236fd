"""What a run may spend on a model: the most that an attempt can cost is set aside before it is made, and corrected afterwards.

The most is: the prompt's tokens, plus ``max_output`` tokens, at the dearest price that can apply. A token is taken to be one byte
(no byte-level tokeniser does worse) until the endpoint has sent a first usage; from then on 3.5 bytes, or a quarter fewer than the
worst measured in this run, whichever is fewer. Every attempt is set aside on its own, retries included; an attempt whose usage is
not known counts in full. So the limits hold however many threads ask, as long as the endpoint keeps to ``max_output`` and no prompt
is a quarter denser than all before it; where one is, what it really used counts, and the next attempt is refused.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from fixbot.patchers.model.messages import ModelError, OverBudgetError, Request, Usage

_BYTES_PER_TOKEN = 3.5
_MARGIN = 1.25
_NANO = 10**9  # costs are whole billionths of a USD inside: sums are exact


class NoPricesError(ModelError):
    """A limit in money without prices for the model."""


@dataclass(frozen=True, slots=True)
class Prices:
    """USD per million tokens. ``cached`` is the price of prompt tokens from the endpoint's cache; None: as ``input``."""

    input: float
    output: float
    cached: float | None = None

    def __post_init__(self) -> None:
        if not all(math.isfinite(price) and price >= 0 for price in (self.input, self.output, self.cached or 0)):
            raise ValueError("a price is not a number of USD per million tokens")


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be spent in USD, tokens (prompt and completion) and calls (attempts count). None: no limit."""

    run_cost: float | None = None
    run_tokens: int | None = None
    finding_cost: float | None = None
    finding_tokens: int | None = None
    calls: int | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """The size of a call before it is made: bytes of the prompt with all that frames it, the most tokens that may come back."""

    prompt_bytes: int
    max_output: int


@dataclass(frozen=True, slots=True)
class Spent:
    """What was spent. ``cost`` is in USD, None without prices. ``estimated``: a part of it is, upwards.

    ``findings`` maps a fingerprint to its tokens and USD.
    """

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = None
    estimated: bool = False
    findings: Mapping[str, tuple[int, float]] = field(default_factory=dict[str, tuple[int, float]])


@dataclass(frozen=True, slots=True, eq=False)
class Reservation:
    """Room for one attempt, to be settled once: tokens, USD and bytes of the prompt."""

    finding: str
    prompt: int
    completion: int
    cost: float
    prompt_bytes: int
    thread: int


@dataclass(slots=True)
class _Sum:
    tokens: int = 0
    nano: int = 0


class Budget:
    """The limits of a run and what was spent of them. ``prices`` are those of the model in use. Thread-safe.

    ``spent`` are the figures to start from, of a resumed run. Raises NoPricesError for a limit in USD without prices.
    """

    def __init__(self, limits: Limits | None = None, prices: Prices | None = None, spent: Spent | None = None) -> None:
        self._limits, self._prices = limits or Limits(), prices
        if prices is None and (self._limits.run_cost, self._limits.finding_cost) != (None, None):
            raise NoPricesError("a limit in USD needs the model's prices: set them, or limit tokens instead")
        start = spent or Spent()
        self._calls, self._prompt, self._completion, self._estimated = (
            start.calls,
            start.prompt_tokens,
            start.completion_tokens,
            start.estimated,
        )
        self._run = _Sum(start.prompt_tokens + start.completion_tokens, round((start.cost or 0) * _NANO))
        self._findings = {name: _Sum(tokens, round(cost * _NANO)) for name, (tokens, cost) in start.findings.items()}
        self._open: set[Reservation] = set()
        self._rate = 0.0  # tokens a byte, the most that was measured
        self._changed = threading.Condition()

    @property
    def spent(self) -> Spent:
        """What was spent so far; what is set aside for attempts under way is not in it."""
        with self._changed:
            findings = {name: (of.tokens, of.nano / _NANO) for name, of in self._findings.items()}
            cost = self._run.nano / _NANO if self._prices else None
            return Spent(self._calls, self._prompt, self._completion, cost, self._estimated, findings)

    def reserve(self, request: Request, estimate: Estimate) -> Reservation:
        """Set aside the most that an attempt may cost.

        Where it would fit but for attempts under way in other threads, waits for them to be settled. Raises OverBudgetError.
        """
        thread = threading.get_ident()
        with self._changed:
            while True:
                asked = self._worst(request, estimate, thread)
                reason = self._refusal(asked, self._open)
                if reason is None:
                    self._open.add(asked)
                    return asked
                # Nobody but this thread could settle what it holds itself.
                mine = {held for held in self._open if held.thread == thread}
                if mine == self._open or self._refusal(asked, mine) is not None:
                    raise OverBudgetError(f"over budget: {reason}")
                self._changed.wait()

    def settle(self, reservation: Reservation, usage: Usage | None) -> Usage:
        """Replace a reservation by what was used, and give that back. None: not known, all of it counts."""
        counted = usage or Usage(reservation.prompt, reservation.completion, estimated=True)
        nano = self._nano(counted) if usage else round(reservation.cost * _NANO)
        with self._changed:
            if reservation not in self._open:
                raise ValueError("the reservation is settled already")
            self._open.remove(reservation)
            self._calls += 1
            self._prompt += counted.prompt
            self._completion += counted.completion
            self._estimated = self._estimated or counted.estimated
            for total in (self._run, self._findings.setdefault(reservation.finding, _Sum())):
                total.tokens += counted.prompt + counted.completion
                total.nano += nano
            if counted.prompt and not counted.estimated:
                self._rate = max(self._rate, counted.prompt / max(1, reservation.prompt_bytes))
            self._changed.notify_all()
        return counted

    def cost(self, usage: Usage) -> float | None:
        """The price of a usage in USD, None without prices."""
        return self._nano(usage) / _NANO if self._prices else None

    def _nano(self, usage: Usage) -> int:
        if self._prices is None:
            return 0
        cached = self._prices.input if self._prices.cached is None else self._prices.cached
        price = (usage.prompt - usage.cached) * self._prices.input + usage.cached * cached + usage.completion * self._prices.output
        return math.ceil(price * _NANO / 10**6)

    def _worst(self, request: Request, estimate: Estimate, thread: int) -> Reservation:
        rate = max(1 / _BYTES_PER_TOKEN, self._rate * _MARGIN) if self._rate else 1.0
        prompt = math.ceil(estimate.prompt_bytes * rate)
        dearest = max(self._nano(Usage(prompt, estimate.max_output, cached)) for cached in (0, prompt))
        return Reservation(request.finding, prompt, estimate.max_output, dearest / _NANO, estimate.prompt_bytes, thread)

    def _refusal(self, asked: Reservation, held: set[Reservation]) -> str | None:
        """Why an attempt does not fit beside those in ``held``, None where it does."""
        limits, same = self._limits, [other for other in held if other.finding == asked.finding]
        if limits.calls is not None and self._calls + len(held) + 1 > limits.calls:
            return f"the limit of {limits.calls} calls is reached"
        sums = (
            ("the run", self._run, list(held), limits.run_tokens, limits.run_cost),
            ("this finding", self._findings.get(asked.finding, _Sum()), same, limits.finding_tokens, limits.finding_cost),
        )
        for whose, total, others, tokens, cost in sums:
            worst = sum(one.prompt + one.completion for one in (*others, asked))
            if tokens is not None and total.tokens + worst > tokens:
                return f"{total.tokens:,} of {tokens:,} tokens of {whose} are spent, the next call could need {worst:,}"
            nano = sum(round(one.cost * _NANO) for one in (*others, asked))
            if cost is not None and total.nano + nano > math.floor(cost * _NANO):
                return f"{total.nano / _NANO:.4f} of {cost:.4f} USD of {whose} are spent, the next call could cost {nano / _NANO:.4f}"
        return None
