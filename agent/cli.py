"""The command line: its commands, what they have in common, and how they end."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
from typing import Annotated, NoReturn

import typer

from fixbot.agent.commands.apply import apply
from fixbot.agent.commands.check import check
from fixbot.agent.commands.deliver import deliver
from fixbot.agent.commands.doctor import doctor
from fixbot.agent.commands.evaluate import evaluate
from fixbot.agent.commands.report import report
from fixbot.agent.commands.review import review
from fixbot.agent.commands.rules import explain, rules
from fixbot.agent.commands.run import run
from fixbot.agent.errors import FixbotError
from fixbot.agent.report.output import LogFormatter

os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # none is used; looking for them costs every start

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


for command in (check, run, review, apply, deliver, report, rules, explain, doctor):
    app.command()(command)
app.command(name="eval")(evaluate)


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


def _fail(text: str) -> None:
    from fixbot.agent.report.text import clean, inert

    typer.echo(f"fixbot: {inert(clean(text))}", err=True)
    sys.exit(2)
