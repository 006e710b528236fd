"""``fixbot run``: detect, fix, verify, hand over."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fixbot.agent.commands.deliver import connect_forge, delivered
from fixbot.agent.credentials import CREDENTIALS
from fixbot.agent.errors import UsageError
from fixbot.agent.options import (
    BaselineFile,
    BaseUrl,
    BugReport,
    Candidates,
    ChangedSince,
    ConfigFile,
    ExitZero,
    Format,
    Ignore,
    Isolated,
    Jobs,
    MaxCost,
    MaxTokens,
    ModelName,
    NoCache,
    OutputFile,
    OutputFormat,
    PathArgument,
    Proof,
    Python,
    Quiet,
    Record,
    ReplayFile,
    SandboxName,
    SarifIn,
    Select,
    split,
)
from fixbot.agent.options_delivery import (
    Assignees,
    BaseBranch,
    BundleFile,
    Describe,
    Draft,
    ForgeName,
    ForgeUrl,
    GroupBy,
    Labels,
    MaxNew,
    MaxOpen,
    NoDashboard,
    PullRequests,
    RepositoryName,
    Reviewers,
    UploadSarif,
    delivery_flags,
)
from fixbot.agent.report.output import print_result, progress_of, write_diff

if TYPE_CHECKING:
    from fixbot.agent.events import Emit


def run(
    path: PathArgument = Path(),
    select: Select = None,
    ignore: Ignore = None,
    output_format: OutputFormat = Format.FULL,
    output_file: OutputFile = None,
    config: ConfigFile = None,
    isolated: Isolated = False,
    jobs: Jobs = None,
    no_cache: NoCache = False,
    changed_since: ChangedSince = None,
    baseline: BaselineFile = None,
    sarif_in: SarifIn = None,
    diff: Annotated[bool, typer.Option("--diff", help="Make no branch; print the proven fixes as one diff.")] = False,
    apply_fixes: Annotated[
        bool, typer.Option("--apply", help="Make no branch; take the proven fixes into the work tree, which must be clean.")
    ] = False,
    python: Python = None,
    test_command: Annotated[str | None, typer.Option("--test-command", help="How to run the tests; default: pytest.")] = None,
    timeout: Annotated[float | None, typer.Option("--timeout", help="Seconds for one run of the suite [default: 900].")] = None,
    test_timeout: Annotated[float | None, typer.Option("--test-timeout", help="Seconds for one test [default: 60].")] = None,
    sandbox: SandboxName = None,
    unsafe_fixes: Annotated[bool, typer.Option("--unsafe-fixes", help="Also try fixes that may change behaviour elsewhere.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the last run of this repository that did not end.")] = False,
    trust_owner: Annotated[bool, typer.Option("--trust-owner", help="Work on a repository that belongs to another user.")] = False,
    bug_report: BugReport = None,
    model: ModelName = None,
    base_url: BaseUrl = None,
    max_cost: MaxCost = None,
    max_tokens: MaxTokens = None,
    candidates: Candidates = None,
    proof: Proof = False,
    record: Record = None,
    replay: ReplayFile = None,
    pr: PullRequests = False,
    bundle: BundleFile = None,
    describe: Describe = False,
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
    exit_zero: ExitZero = False,
    quiet: Quiet = False,
) -> None:
    """Detect, fix, verify with the repository's tests, and leave the proven fixes on a branch fixbot/...

    Works on HEAD in a private clone; your work tree, index and branches are not touched, unless --apply asks for the fixes.
    """
    given = dict(locals())
    from fixbot.agent import pipeline
    from fixbot.agent.config import settings_for
    from fixbot.agent.focus import load_focus
    from fixbot.agent.model import take_key

    flags: dict[str, Any] = {
        "select": split(select),
        "ignore": split(ignore),
        "jobs": jobs,
        "cache": False if no_cache else None,
        "python": python,
        "test_command": test_command,
        "timeout": timeout,
        "test_timeout": test_timeout,
        "sandbox": sandbox,
        "unsafe_fixes": unsafe_fixes or None,
        "trust_owner": trust_owner or None,
        "bug_report": tuple(bug_report or ()),
        "model": model,
        "base_url": base_url,
        "max_cost": max_cost,
        "max_tokens": max_tokens,
        "candidates": candidates,
        "proof": proof or None,
        "record": record,
        "replay": replay,
        "describe": describe or None,
        **delivery_flags(given),
    }
    if pr + diff + apply_fixes + (bundle is not None) > 1:
        raise UsageError("--pr, --diff, --apply and --bundle exclude each other", "a bundle is for `fixbot deliver`, in another job")
    settings = settings_for(path, flags, config, isolated)
    focus = load_focus(changed_since, baseline, sarif_in or ())
    start = partial(
        pipeline.run,
        path,
        settings,
        focus=focus,
        deliver=not (diff or pr or bundle or apply_fixes),
        resume=resume,
        key=take_key(settings.base_url, CREDENTIALS),
    )
    connected = connect_forge(settings, path) if pr else None
    if apply_fixes:
        from fixbot.agent.apply import refuse_dirty

        refuse_dirty(path)
    if settings.sandbox == "none":
        typer.echo("warning: --sandbox none: the repository's tests run with all of your rights", err=True)
    if output_format is Format.JSON_LINES:
        from fixbot.agent.events import to_json
        from fixbot.agent.report.formats import dumps

        emitter: AbstractContextManager[Emit] = nullcontext(lambda event: typer.echo(dumps(to_json(event), indent=None)))
    else:
        emitter = progress_of(quiet)
    with _resumable(), emitter as emit:
        result, problem = start(emit), None
        if connected is not None:
            result, problem = delivered(result, settings, connected, path, emit)
    if bundle is not None:
        from fixbot.agent.deliver.bundle import write_bundle

        write_bundle(bundle, result)
        typer.echo(f"bundle written to {bundle}; next: fixbot deliver {bundle}", err=True)
    if diff and output_format is Format.FULL:
        write_diff(output_file, result.diff or "")
    else:
        print_result(output_format, output_file, result)
    if apply_fixes and result.diff:
        from fixbot.agent.apply import apply_run

        for text in apply_run(result.run, (), path, allow_dirty=True, dry=False):  # it writes no file that has changed since
            typer.echo(text, err=True)
    if problem is not None:
        raise problem
    raise typer.Exit(1 if result.left and not exit_zero else 0)


@contextmanager
def _resumable() -> Generator[None]:
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("interrupted; go on with: fixbot run --resume", err=True)
        raise
