"""``fixbot deliver``, and the delivery of ``fixbot run --pr``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fixbot.agent.credentials import CREDENTIALS
from fixbot.agent.errors import FixbotError
from fixbot.agent.options import ConfigFile, Format, OutputFile, Quiet
from fixbot.agent.options_delivery import (
    Assignees,
    BaseBranch,
    Draft,
    ForgeName,
    ForgeUrl,
    GroupBy,
    Labels,
    MaxNew,
    MaxOpen,
    NoDashboard,
    RepositoryName,
    Reviewers,
    UploadSarif,
    delivery_flags,
)
from fixbot.agent.report.output import output, progress_of, write

if TYPE_CHECKING:
    from fixbot.agent.config import Settings
    from fixbot.agent.deliver.forge import Forge
    from fixbot.agent.events import Emit
    from fixbot.agent.result import RunResult


def deliver(
    source: Annotated[str, typer.Argument(help="A bundle of `fixbot run --bundle`, or a run's id; `last` for the newest.")],
    path: Annotated[Path, typer.Option("--path", help="A checkout of the repository that has the run's base.")] = Path(),
    group: GroupBy = None,
    forge: ForgeName = None,
    forge_url: ForgeUrl = None,
    repository: RepositoryName = None,
    base_branch: BaseBranch = None,
    max_open: MaxOpen = None,
    max_new_per_run: MaxNew = None,
    label: Labels = None,
    reviewer: Reviewers = None,
    assignee: Assignees = None,
    draft: Draft = False,
    no_dashboard: NoDashboard = False,
    upload_sarif: UploadSarif = False,
    config: ConfigFile = None,
    trust_owner: Annotated[bool, typer.Option("--trust-owner", help="Work on a repository that belongs to another user.")] = False,
    output_format: Annotated[Format, typer.Option("--output-format", help="full or json.")] = Format.FULL,
    output_file: OutputFile = None,
    quiet: Quiet = False,
) -> None:
    """Open or update the pull requests of a finished run. Runs no code of the repository.

    The patches pass the gate once more. Closed pull requests are not offered again; a branch with somebody's commit is left alone.
    """
    given = dict(locals())
    from fixbot.agent.config import settings_for
    from fixbot.agent.deliver.bundle import read_bundle
    from fixbot.agent.history import finished_run
    from fixbot.agent.report.delivery import print_delivery

    flags: dict[str, Any] = {
        "trust_owner": trust_owner or None,
        **delivery_flags(given),
    }
    settings = settings_for(path, flags, config, True)
    result = read_bundle(Path(source)) if Path(source).is_file() else finished_run(source)
    connected = connect_forge(settings, path)
    with progress_of(quiet) as emit:
        result, problem = delivered(result, settings, connected, path, emit)
    if output_format is Format.JSON:
        from fixbot.agent.report.formats import dumps

        write(output_file, dumps(result.delivery))
    else:
        with output(output_file) as console:
            print_delivery(console, result.delivery or {})
    if problem is not None:
        raise problem


def connect_forge(settings: Settings, path: Path) -> Forge:
    """The repository on the forge that the settings and the environment name. Raises FixbotError."""
    from fixbot.agent.deliver.connect import connect, take_token

    return connect(settings, take_token(settings, CREDENTIALS), path)


def delivered(result: RunResult, settings: Settings, forge: Forge, path: Path, emit: Emit) -> tuple[RunResult, FixbotError | None]:
    """The run with what became of its pull requests, or with what went wrong: that must not cost the report."""
    from dataclasses import replace

    from fixbot.agent.deliver.deliver import deliver
    from fixbot.agent.workspace import state_dir

    try:
        return replace(result, delivery=deliver(result, settings, forge, path, state_dir(), emit).to_json()), None
    except FixbotError as error:
        return replace(result, delivery={"pulls": [], "dashboard": "", "notes": [], "error": error.message}), error
