"""The model of a run: an endpoint within its budget, its exchanges remembered in the ledger; or a recorded run that is replayed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, MutableMapping
from pathlib import Path

from fixbot.agent.config import Settings
from fixbot.agent.errors import UsageError
from fixbot.agent.store import Ledger
from fixbot.patchers.model import keys
from fixbot.patchers.model.budget import Budget, Limits, NoPricesError, Prices
from fixbot.patchers.model.exchanges import Exchange, Recording, Replay, read_exchanges, total_spent, write_exchanges
from fixbot.patchers.model.keys import Key
from fixbot.patchers.model.messages import EndpointError, Model

OPENAI = "https://api.openai.com/v1"


def take_key(base_url: str | None, environ: MutableMapping[str, str]) -> Key:
    """The key of an endpoint (None: OpenAI's own). Every key for models leaves ``environ``."""
    return keys.take_key(base_url or os.environ.get("FIXBOT_BASE_URL") or OPENAI, environ)


def open_model(settings: Settings, key: Key, ledger: Ledger, run: str) -> tuple[Model, Budget] | None:
    """The model that the settings name, None when they name none. Raises UsageError.

    A resumed run gets the answers that it has paid for already, and its budget goes on from there.
    """
    if settings.replay is not None:
        return Recording(Replay(_read(settings.replay)), (), _saver(ledger, run)), Budget()
    if settings.model is None:
        return None
    known = list(ledger.exchanges(run))
    try:
        budget = _budget(settings, known)
        return Recording(connect_model(settings, key, budget), known, _saver(ledger, run)), budget
    except NoPricesError:
        raise UsageError(
            f"--max-cost needs the prices of {settings.model}",
            """give them in a file for --config: [prices."MODEL"] input = ... output = ... (USD per million tokens), or use --max-tokens""",
        ) from None
    except EndpointError as error:
        raise UsageError(str(error), "see --base-url and --model in `fixbot run --help`") from None


def connect_model(settings: Settings, key: Key, budget: Budget | None = None) -> Model:
    """The endpoint that the settings name. Nothing is sent yet. Raises EndpointError for a URL that must not be used."""
    from fixbot.patchers.model.client import Endpoint, connect

    endpoint = Endpoint(
        base_url=settings.base_url or OPENAI,
        model=settings.model or "",
        key=key,
        max_output=settings.max_output,
        timeout=settings.model_timeout,
        retries=settings.model_retries,
        temperature=settings.temperature,
        stream=settings.stream,
        enforces_schema=settings.enforces_schema,
    )
    return connect(endpoint, budget or Budget())


def save_recording(path: Path, ledger: Ledger, run: str) -> None:
    """Write a run's exchanges to a file for ``--replay``. Raises UsageError."""
    try:
        write_exchanges(path, ledger.exchanges(run))
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from None


def _budget(settings: Settings, known: Iterable[Exchange]) -> Budget:
    price = settings.prices.get(settings.model or "")
    limits = Limits(settings.max_cost, settings.max_tokens, settings.max_cost_finding, settings.max_tokens_finding)
    return Budget(limits, Prices(price.input, price.output, price.cached) if price else None, total_spent(known))


def _saver(ledger: Ledger, run: str) -> Callable[[Exchange], None]:
    return lambda exchange: ledger.save_exchange(run, exchange)


def _read(path: Path) -> list[Exchange]:
    try:
        return list(read_exchanges(path))
    except (OSError, ValueError) as error:
        raise UsageError(f"the recording cannot be read: {error}", "make one with `fixbot run --record FILE`") from None
