"""What the GitHub Action does once fixbot is installed: one command, by the inputs in ``INPUT_*``; then its outputs and its summary.

Runs with ``python -I`` of the environment that fixbot is in. The key for a model and the forge's token are handed on untouched, in
``FIXBOT_API_KEY`` and ``FIXBOT_FORGE_TOKEN``. Nothing that fixbot prints can be a command to the runner, but the annotations of ``check``.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shlex
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

FIXBOT = Path(sys.executable).with_name("fixbot")
HOME = Path(os.environ["RUNNER_TEMP"], "fixbot")
SUMMARY_LIMIT = 1_000_000
"""Bytes of a step's summary; GitHub drops what is larger than 1 MiB."""
_ANNOTATION = re.compile(r"::(?:error|warning|notice) file=[^\r\n]*")


def main() -> int:
    """Run the mode that is asked for; the step's exit code."""
    modes = {"check": check, "run": run, "deliver": deliver}
    mode = modes.get(text("MODE"))
    if mode is None:
        fail(f"mode must be one of {', '.join(modes)}")
    HOME.mkdir(exist_ok=True)
    code = mode()
    set_output("exit-code", str(code))
    if code not in (0, 1):
        fail(f"fixbot {text('MODE')} ended with exit code {code}: see the log above", code)
    return 0 if switch("EXIT_ZERO") else code


def check() -> int:
    """Look for bugs; the findings become annotations."""
    command = ["check", text("PATH"), "--output-format=github", *narrowed(), *extra()]
    with quiet():
        done = fixbot(command, stdout=subprocess.PIPE)
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    findings = [one for one in lines if _ANNOTATION.fullmatch(one)]
    with quiet():
        print(*(one for one in lines if not _ANNOTATION.fullmatch(one)), sep="\n")
    print(*findings, sep="\n", flush=True)
    set_output("findings", str(len(findings)))
    if done.returncode in (0, 1):
        where = " on changed lines" if text("CHANGED_SINCE") else ""
        summarize(f"**fixbot:** {len(findings)} finding{'' if len(findings) == 1 else 's'}{where}\n")
    return done.returncode


def run() -> int:
    """Find bugs, prove fixes, write the bundle."""
    bundle = Path(text("BUNDLE") or HOME / "bundle.json")
    bundle.unlink(missing_ok=True)
    given = options({"python": "PYTHON", "model": "MODEL", "base-url": "BASE_URL"})
    with quiet():
        done = fixbot(["run", text("PATH"), f"--bundle={bundle}", *narrowed(), *given, *extra()])
    if not bundle.is_file():
        return done.returncode or 2
    found = [one["status"] for one in json.loads(bundle.read_bytes())["report"]["findings"]]
    set_output("bundle", str(bundle))
    set_output("findings", str(len(found) - found.count("suppressed")))
    set_output("fixed", str(found.count("fixed")))
    told = HOME / "summary.md"
    if fixbot(["report", "last", "--markdown", f"--max-size={SUMMARY_LIMIT}", f"--output-file={told}"]).returncode == 0:
        summarize(told.read_text("utf-8", "replace"))
    return done.returncode


def deliver() -> int:
    """Open and update pull requests from a bundle."""
    from fixbot.agent.report.delivery import markdown_delivery

    file = HOME / "delivery.json"
    file.unlink(missing_ok=True)
    bundle = Path(text("BUNDLE") or HOME / "bundle.json")
    if not bundle.is_file():
        fail("there is no bundle: name the file that `mode: run` has written")
    single = options({"group": "GROUP", "base-branch": "BASE_BRANCH", "max-open": "MAX_OPEN", "max-new-per-run": "MAX_NEW_PER_RUN"})
    many = [f"--{name[:-1].lower()}={one}" for name in ("LABELS", "REVIEWERS", "ASSIGNEES") for one in listed(name)]
    flags = [f"--{name.lower().replace('_', '-')}" for name in ("DRAFT", "UPLOAD_SARIF") if switch(name)]
    flags += [] if switch("DASHBOARD") else ["--no-dashboard"]
    shown = ["--output-format=json", f"--output-file={file}"]
    with quiet():
        done = fixbot(["deliver", f"--path={text('PATH')}", *shown, *single, *many, *flags, *extra(), "--", str(bundle)])
    if not file.is_file():
        return done.returncode or 2
    delivery = json.loads(file.read_bytes())
    pulls = [one for one in delivery["pulls"] if one["number"]]
    news = sorted((one for one in pulls if one["action"] in ("open", "update")), key=lambda one: one["action"])
    set_output("pull-requests", json.dumps(pulls))
    set_output("pull-request-number", str(news[0]["number"]) if news else "")
    set_output("dashboard-url", delivery["dashboard"])
    told = "\n".join(markdown_delivery(delivery)) + "\n"
    with quiet():
        print(told)
    summarize(told)
    return done.returncode


# Inputs


def text(name: str) -> str:
    """An input without the blanks around it."""
    return os.environ.get(f"INPUT_{name}", "").strip()


def switch(name: str) -> bool:
    """An input that is true or false."""
    value = text(name).lower() or "false"
    if value not in ("true", "false"):
        fail(f"{name.lower().replace('_', '-')} must be true or false")
    return value == "true"


def listed(name: str) -> list[str]:
    """An input with several values, separated by commas or line ends."""
    return [one.strip() for one in re.split(r"[,\n]", text(name)) if one.strip()]


def options(names: Mapping[str, str]) -> list[str]:
    """The inputs that are set as options of the command; ``names`` are inputs by option."""
    return [f"--{option}={text(name)}" for option, name in names.items() if text(name)]


def narrowed() -> list[str]:
    """What ``check`` and ``run`` look for, and where."""
    return [f"--{name.lower()}={one}" for name in ("SELECT", "IGNORE") for one in listed(name)] + options(
        {"changed-since": "CHANGED_SINCE"}
    )


def extra() -> list[str]:
    """The further options of ``args``."""
    try:
        return shlex.split(text("ARGS"))
    except ValueError as error:
        fail(f"args cannot be read: {error}")


# The command


def fixbot(command: list[str], **more: Any) -> subprocess.CompletedProcess[bytes]:
    """Run fixbot to its end."""
    dropped = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP")
    env = {name: value for name, value in os.environ.items() if not name.startswith("INPUT_") and name not in dropped}
    env |= {"FIXBOT_STATE_DIR": str(HOME / "state"), "NO_COLOR": "1"}
    if os.environ.get("RULES_REPOSITORY", "").startswith("https://"):
        env["FIXBOT_RULES_URL"] = f"{os.environ['RULES_REPOSITORY']}/blob/{os.environ['RULES_COMMIT']}/detectors/rules"
    return subprocess.run([FIXBOT, *command], env=env, stdin=subprocess.DEVNULL, check=False, **more)


@contextmanager
def quiet() -> Generator[None]:
    """What is printed meanwhile is text to the runner: names of files and messages may look like commands."""
    mark = secrets.token_hex(16)
    print(f"::stop-commands::{mark}", flush=True)
    try:
        yield
    finally:
        print(f"\n::{mark}::", flush=True)


# What the runner takes


def set_output(name: str, value: str) -> None:
    """Set an output of the step, whatever is in it."""
    mark = secrets.token_hex(16)
    with Path(os.environ["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as file:
        file.write(f"{name}<<{mark}\n{value}\n{mark}\n")


def summarize(told: str) -> None:
    """Add to the step's summary."""
    with Path(os.environ["GITHUB_STEP_SUMMARY"]).open("a", encoding="utf-8") as file:
        file.write(told)


def fail(message: str, code: int = 2) -> NoReturn:
    """End the step with an error that the run's page shows. ``message`` is one line that no input can be in."""
    print(f"::error title=fixbot::{message}", flush=True)
    sys.exit(code)


if __name__ == "__main__":
    sys.exit(main())
