"""``fixbot review``: decide one by one."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from fixbot.agent.credentials import CREDENTIALS
from fixbot.agent.options import BaseUrl, ConfigFile, Isolated, MaxCost, MaxTokens, ModelName, Python, Quiet, SandboxName


def review(
    target: Annotated[str, typer.Argument(help="The repository, or a run's id or its beginning.", metavar="[PATH | RUN]")] = ".",
    plain: Annotated[bool, typer.Option("--plain", help="Ask line by line: for scripts and dumb terminals.")] = False,
    config: ConfigFile = None,
    isolated: Isolated = False,
    python: Python = None,
    test_command: Annotated[str | None, typer.Option("--test-command", help="How to run the tests; default: pytest.")] = None,
    sandbox: SandboxName = None,
    unsafe_fixes: Annotated[bool, typer.Option("--unsafe-fixes", help="Also try fixes that may change behaviour elsewhere.")] = False,
    model: ModelName = None,
    base_url: BaseUrl = None,
    max_cost: MaxCost = None,
    max_tokens: MaxTokens = None,
    quiet: Quiet = False,
) -> None:
    """Look at the findings of a run one by one: accept, reject, edit, verify; then apply what was accepted.

    Without a finished run on HEAD one is made first. Every decision is saved at once and counts in later runs.
    """
    from fixbot.agent.config import settings_for
    from fixbot.agent.model import take_key
    from fixbot.agent.review import start

    plain = plain or start.wants_plain()
    if not plain:
        start.check_screen()
    result = start.named_run(target)
    path = Path(target) if result is None else Path(result.repository)
    flags = {"python": python, "test_command": test_command, "sandbox": sandbox, "unsafe_fixes": unsafe_fixes or None}
    flags |= {"model": model, "base_url": base_url, "max_cost": max_cost, "max_tokens": max_tokens}
    settings = settings_for(path, flags, config, isolated)
    key = take_key(settings.base_url, CREDENTIALS)
    result = result or start.last_run(path)
    if result is None:
        asks = sys.stdin.isatty() and sys.stdout.isatty()
        result = start.new_run(path, settings, key, partial(typer.confirm, default=True) if asks else lambda _: True, quiet=quiet)
    start.review(result, settings, key, plain=plain, quiet=quiet)
