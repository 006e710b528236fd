"""``fixbot doctor``: what is missing, with the cure."""

from __future__ import annotations

from pathlib import Path

import typer

from fixbot.agent.credentials import CREDENTIALS
from fixbot.agent.options import BaseUrl, ModelName, PathArgument, Python


def doctor(path: PathArgument = Path(), python: Python = None, model: ModelName = None, base_url: BaseUrl = None) -> None:
    """Say what is missing to work on a repository: git, sandbox, tests, model, forge, with the cure. Changes nothing."""
    from fixbot.agent.doctor import diagnose
    from fixbot.agent.model import take_key

    failed = False
    for entry in diagnose(path, python, model, base_url, take_key(base_url, CREDENTIALS), CREDENTIALS):
        failed = failed or not entry.good
        typer.echo(f"{'ok     ' if entry.good else 'missing'} {entry.what}: {entry.detail}")
        if entry.cure:
            typer.echo(f"        {entry.cure}")
    raise typer.Exit(1 if failed else 0)
