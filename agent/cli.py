"""The command line: parses, calls one function, prints. Everything heavy is imported inside the command that needs it."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from fixbot.agent.errors import FixbotError, UsageError
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
    PathArguments,
    Proof,
    Python,
    Quiet,
    Record,
    ReplayFile,
    SandboxName,
    SarifIn,
    Scripted,
    Select,
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
)
from fixbot.agent.report.output import LogFormatter, output, print_result, progress_of, render_check, write, write_diff

if TYPE_CHECKING:
    from fixbot.agent.config import Settings
    from fixbot.agent.deliver.forge import Forge
    from fixbot.agent.events import Emit
    from fixbot.agent.result import RunResult
    from fixbot.agent.scripted import Script

os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # none is used; looking for them costs every start

_SECRETS = ("FIXBOT_API_KEY", "OPENAI_API_KEY", "FIXBOT_FORGE_TOKEN", "GITHUB_TOKEN", "GH_TOKEN", "GITLAB_TOKEN")
_CREDENTIALS = {name: os.environ.pop(name) for name in _SECRETS if name in os.environ}
"""Keys for models and tokens of forges, taken out of the environment at the start: no process that fixbot starts inherits them."""

app = typer.Typer(
    name="fixbot",
    help="Find real bugs in a Python repository, fix them, and prove each fix with the repository's own tests.",
    epilog="Exit codes: 0 nothing left, 1 findings left, 2 wrong usage or a failure, 130 interrupted.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # plain help needs a third of the time
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"fixbot {version('fixbot')}")
        raise typer.Exit


@app.callback()
def common(
    verbose: Annotated[bool, typer.Option("--verbose", help="Log what happens to standard error.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)] = False,
) -> None:
    """What every command has."""
    handler = logging.StreamHandler()
    handler.setFormatter(LogFormatter("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO if verbose else logging.ERROR, handlers=[handler])


@app.command()
def check(
    paths: PathArguments = None,
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
    bug_report: BugReport = None,
    exit_zero: ExitZero = False,
    quiet: Quiet = False,
) -> None:
    """Detect only; nothing is written.

    Reads tracked and untracked files, not ignored ones; a folder outside git is read whole. Given files, or several folders, it answers
    about these; rules about the whole project still see all of it.
    """
    from fixbot.agent.check import Request, in_repository, place
    from fixbot.agent.check import check as run_check
    from fixbot.agent.config import settings_for
    from fixbot.agent.focus import load_focus

    flags: dict[str, Any] = {"select": _split(select), "ignore": _split(ignore), "jobs": jobs, "cache": False if no_cache else None}
    flags["bug_report"] = tuple(bug_report or ())
    targets = tuple(paths or (Path(),))
    settings = settings_for(place(targets), flags, config, isolated)
    focus = load_focus(changed_since, baseline, sarif_in or ())
    with progress_of(quiet) as emit:
        found, root = run_check(Request(targets, settings, focus), emit)
    if output_format is Format.FULL:
        from fixbot.agent.report.terminal import print_check

        with output(output_file) as console:
            print_check(console, found, root)
    else:
        found = in_repository(found, root) if output_format in (Format.GITHUB, Format.SARIF) else found
        write(output_file, "\n".join(render_check(output_format, found)), commands=output_format is Format.GITHUB)
    raise typer.Exit(1 if found.findings and not exit_zero else 0)


@app.command()
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
    from fixbot.agent import pipeline
    from fixbot.agent.config import settings_for
    from fixbot.agent.focus import load_focus
    from fixbot.agent.model import take_key

    flags: dict[str, Any] = {
        "select": _split(select),
        "ignore": _split(ignore),
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
        "group": group,
        "forge": forge,
        "forge_url": forge_url,
        "repository": repository,
        "base_branch": base_branch,
        "max_open": max_open,
        "max_new_per_run": max_new_per_run,
        "labels": tuple(label or ()),
        "reviewers": tuple(reviewer or ()),
        "assignees": tuple(assignee or ()),
        "draft": draft or None,
        "dashboard": False if no_dashboard else None,
        "upload_sarif": upload_sarif or None,
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
        key=take_key(settings.base_url, _CREDENTIALS),
    )
    connected = _connect(settings, path) if pr else None
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
            result, problem = _delivered(result, settings, connected, path, emit)
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


@app.command()
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
    from fixbot.agent.config import settings_for
    from fixbot.agent.deliver.bundle import read_bundle
    from fixbot.agent.history import finished_run
    from fixbot.agent.report.delivery import print_delivery

    flags: dict[str, Any] = {
        "trust_owner": trust_owner or None,
        "group": group,
        "forge": forge,
        "forge_url": forge_url,
        "repository": repository,
        "base_branch": base_branch,
        "max_open": max_open,
        "max_new_per_run": max_new_per_run,
        "labels": tuple(label or ()),
        "reviewers": tuple(reviewer or ()),
        "assignees": tuple(assignee or ()),
        "draft": draft or None,
        "dashboard": False if no_dashboard else None,
        "upload_sarif": upload_sarif or None,
    }
    settings = settings_for(path, flags, config, True)
    result = read_bundle(Path(source)) if Path(source).is_file() else finished_run(source)
    connected = _connect(settings, path)
    with progress_of(quiet) as emit:
        result, problem = _delivered(result, settings, connected, path, emit)
    if problem is not None:
        raise problem
    if output_format is Format.JSON:
        from fixbot.agent.report.formats import dumps

        write(output_file, dumps(result.delivery))
    else:
        with output(output_file) as console:
            print_delivery(console, result.delivery or {})


def _connect(settings: Settings, path: Path) -> Forge:
    from fixbot.agent.deliver.connect import connect, take_token

    return connect(settings, take_token(settings, _CREDENTIALS), path)


def _delivered(result: RunResult, settings: Settings, forge: Forge, path: Path, emit: Emit) -> tuple[RunResult, FixbotError | None]:
    """The run with what became of its pull requests, or with what went wrong: that must not cost the report."""
    from dataclasses import replace

    from fixbot.agent.deliver.deliver import deliver
    from fixbot.agent.workspace import state_dir

    try:
        return replace(result, delivery=deliver(result, settings, forge, path, state_dir(), emit).to_json()), None
    except FixbotError as error:
        return replace(result, delivery={"pulls": [], "dashboard": "", "notes": [], "error": error.message}), error


@app.command()
def apply(
    run: Annotated[str, typer.Argument(help="A run's id or its beginning; `last` for the newest.")],
    findings: Annotated[list[str] | None, typer.Argument(help="Fingerprints (or their beginnings); default: all that are proven.")] = None,
    path: Annotated[Path | None, typer.Option("--path", help="The work tree; default: the run's repository.")] = None,
    allow_dirty: Annotated[bool, typer.Option("--allow-dirty", help="Apply over uncommitted changes.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Print the change, write nothing.")] = False,
) -> None:
    """Apply proven fixes of a finished run to the work tree."""
    from fixbot.agent.apply import apply_run

    for text in apply_run(run, findings or [], path, allow_dirty=allow_dirty, dry=diff):
        typer.echo(text, nl=not text.endswith("\n"))


@app.command()
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
    key = take_key(settings.base_url, _CREDENTIALS)
    result = result or start.last_run(path)
    if result is None:
        asks = sys.stdin.isatty() and sys.stdout.isatty()
        result = start.new_run(path, settings, key, partial(typer.confirm, default=True) if asks else lambda _: True, quiet=quiet)
    start.review(result, settings, key, plain=plain, quiet=quiet)


@app.command()
def explain(rule: Annotated[str, typer.Argument(help="A rule's id; `fixbot rules` lists them.")]) -> None:
    """Print a rule's page: what it finds, why that is a bug, what it can't see, examples."""
    from fixbot.detectors.registry import all_rules

    known = all_rules().get(rule.replace("_", "-"))
    if known is None:
        from fixbot.agent.config import unknown_rule

        raise unknown_rule(rule)
    text = known.page.read_text("utf-8")
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.markdown import Markdown

        Console().print(Markdown(text))
    else:
        typer.echo(text)


@app.command()
def rules(
    output_format: Annotated[Format, typer.Option("--output-format", help="full, concise or json.")] = Format.FULL,
    stats: Annotated[bool, typer.Option("--stats", help="How their findings were decided in reviews and pull requests.")] = False,
) -> None:
    """List the rules with severity and fix."""
    from fixbot.agent.history import rule_figures
    from fixbot.agent.report.rules import print_rules, print_stats, rules_json

    if output_format is Format.JSON:
        from fixbot.agent.report.formats import dumps

        typer.echo(dumps(rules_json(rule_figures())))
        return
    with output(None) as console:
        if stats:
            print_stats(console, rule_figures())
        else:
            print_rules(console, short=output_format is Format.CONCISE)


@app.command()
def report(
    run: Annotated[str, typer.Argument(help="A run's id or its beginning; `last` for the newest.")] = "last",
    output_format: OutputFormat = Format.FULL,
    markdown: Annotated[bool, typer.Option("--markdown", help="A bug report in Markdown.")] = False,
    html: Annotated[bool, typer.Option("--html", help="One HTML file, with filters, diffs and evidence.")] = False,
    max_size: Annotated[
        int | None, typer.Option("--max-size", metavar="BYTES", min=1000, help="With --markdown: leave out whole findings beyond that.")
    ] = None,
    output_file: OutputFile = None,
    list_runs: Annotated[bool, typer.Option("--list", help="List the runs instead.")] = False,
) -> None:
    """Report a finished run again, in any format."""
    from fixbot.agent.history import finished_run, run_lines

    if list_runs:
        for row in run_lines():
            typer.echo(row)
        return
    result = finished_run(run)
    if markdown and html:
        raise UsageError("--markdown and --html exclude each other")
    if html:
        from fixbot.agent.report.html import html as render_html

        write(output_file, render_html(result))
    elif markdown:
        from fixbot.agent.report.markdown import markdown as render

        write(output_file, render(result, max_size).rstrip("\n"))
    else:
        print_result(output_format, output_file, result)


@app.command()
def doctor(path: PathArgument = Path(), python: Python = None, model: ModelName = None, base_url: BaseUrl = None) -> None:
    """Say what is missing to work on a repository: git, sandbox, tests, model, forge, with the cure. Changes nothing."""
    from fixbot.agent.doctor import diagnose
    from fixbot.agent.model import take_key

    failed = False
    for entry in diagnose(path, python, model, base_url, take_key(base_url, _CREDENTIALS), _CREDENTIALS):
        failed = failed or not entry.good
        typer.echo(f"{'ok     ' if entry.good else 'missing'} {entry.what}: {entry.detail}")
        if entry.cure:
            typer.echo(f"        {entry.cure}")
    raise typer.Exit(1 if failed else 0)


@app.command(name="eval")
def evaluate(
    repositories: Annotated[list[Path], typer.Argument(help="Evaluation repositories, or a folder of them, as eval_repos.")],
    python: Python = None,
    detect_only: Annotated[bool, typer.Option("--detect-only", help="No fixes: only recall and decoys.")] = False,
    scripted: Scripted = None,
    model: ModelName = None,
    base_url: BaseUrl = None,
    max_cost: MaxCost = None,
    max_tokens: MaxTokens = None,
    candidates: Candidates = None,
    config: ConfigFile = None,
    output_format: Annotated[Format, typer.Option("--output-format", help="full or json.")] = Format.FULL,
    sandbox: SandboxName = None,
    quiet: Quiet = False,
) -> None:
    """Measure fixbot on repositories with known bugs: recall, decoys hit, fixed, precision of each rule.

    With --scripted or --model: what becomes of a model's fixes instead, judged by hidden tests. Limits hold for all repositories together.
    """
    if sum((detect_only, bool(scripted), model is not None)) > 1:
        raise UsageError("--detect-only, --scripted and --model exclude each other")
    if scripted or model is not None:
        flags = {"model": model, "base_url": base_url, "max_cost": max_cost, "max_tokens": max_tokens, "candidates": candidates}
        flags |= {"python": python, "sandbox": sandbox}
        _evaluate_model(repositories, flags, scripted or [], config, output_format, quiet)
        return
    from fixbot.agent.evaluate import evaluate as measure
    from fixbot.agent.report.evaluation import print_evaluation

    with progress_of(quiet) as emit:
        results = measure(repositories, python=python, sandbox=sandbox or "auto", detect_only=detect_only, emit=emit)
    if output_format is Format.JSON:
        from fixbot.agent.report.formats import dumps

        typer.echo(dumps([result.to_json() for result in results]))
    else:
        with output(None) as console:
            print_evaluation(console, results)


def _evaluate_model(
    repositories: Sequence[Path], flags: dict[str, Any], scripted: list[Script], config: Path | None, output_format: Format, quiet: bool
) -> None:
    from fixbot.agent.evaluate_model import prepare
    from fixbot.agent.report.evaluation_model import show_model_evaluation

    show_model_evaluation(repositories, prepare(flags, scripted, config, _CREDENTIALS), output_format, quiet)


def main() -> None:
    """The console script: expected failures become one message on standard error and exit code 2, Ctrl-C 130."""
    gc.set_threshold(50_000)  # imports make many objects and hardly any garbage
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup leaves it
            signal.signal(number, _end)
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except FixbotError as error:
        _fail(str(error))
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except typer.TyperException as error:
        _fail(str(error))


def _end(number: int, _: object) -> NoReturn:
    """Leave through every ``finally``, so that nothing stays behind."""
    sys.exit(128 + number)


@contextmanager
def _resumable() -> Generator[None]:
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("interrupted; go on with: fixbot run --resume", err=True)
        raise


def _fail(text: str) -> None:
    from fixbot.agent.report.text import clean, inert

    typer.echo(f"fixbot: {inert(clean(text))}", err=True)
    sys.exit(2)


def _split(values: Sequence[str] | None) -> tuple[str, ...]:
    return tuple(part.strip() for value in values or () for part in value.split(",") if part.strip())
