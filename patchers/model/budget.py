"""What a run may spend on a model."""

from __future__ import annotations

from dataclasses import dataclass, field

from fixbot.patchers.model.messages import Request, Usage


@dataclass(frozen=True, slots=True)
class Prices:
    """USD per million tokens. ``cached`` is the price of prompt tokens from the endpoint's cache; None: as ``input``."""

    input: float
    output: float
    cached: float | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be spent in USD, tokens (prompt and completion) and calls. None: no limit."""

    run_cost: float | None = None
    run_tokens: int | None = None
    finding_cost: float | None = None
    finding_tokens: int | None = None
    calls: int | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """The size of a call before it is made: bytes of the messages, the most tokens that may come back."""

    prompt_bytes: int
    max_output: int


@dataclass(frozen=True, slots=True)
class Spent:
    """What was spent. ``cost`` is in USD, None without prices. ``estimated``: a part of it is estimated, upwards."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = None
    estimated: bool = False
    findings: dict[str, tuple[int, float]] = field(default_factory=dict[str, tuple[int, float]])


@dataclass(frozen=True, slots=True)
class Reservation:
    """Room for one attempt, to be settled once."""

    finding: str
    prompt: int
    completion: int


class Budget:
    """The limits of a run and what was spent of them. ``prices`` are those of the model in use. Thread-safe."""

    def __init__(self, limits: Limits | None = None, prices: Prices | None = None, spent: Spent | None = None) -> None:
        raise NotImplementedError

    @property
    def spent(self) -> Spent:
        """What was spent so far."""
        raise NotImplementedError

    def reserve(self, request: Request, estimate: Estimate) -> Reservation:
        """Set aside the most that a call may cost. Raises OverBudgetError."""
        raise NotImplementedError

    def settle(self, reservation: Reservation, usage: Usage | None) -> Usage:
        """Replace a reservation by what was used; without figures all of it counts."""
        raise NotImplementedError
