"""``fixbot doctor``: what is there and what is missing to work on a repository, with the cure."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from fixbot.agent import workspace as ws
from fixbot.agent.config import load_settings
from fixbot.agent.errors import FixbotError
from fixbot.agent.report.text import line, plural
from fixbot.agent.sandbox.choose import choose, explain
from fixbot.patchers.model.keys import Key


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that was looked at."""

    what: str
    good: bool
    detail: str
    cure: str = ""


def diagnose(
    path: Path,
    python: Path | None,
    model: str | None = None,
    base_url: str | None = None,
    key: Key | None = None,
    tokens: Mapping[str, str] | None = None,
) -> Iterator[Entry]:
    """Look at everything that a run needs, in the order in which it needs it. ``tokens`` are the variables that hold tokens of forges."""
    try:
        root = ws.locate(path)
    except FixbotError as error:
        yield Entry("repository", False, error.message, error.cure)
        return
    yield Entry("repository", True, line(str(root)))
    yield from _sandbox(root)
    yield from _tests(root, python)
    yield _model(root, model, base_url, key)
    yield _forge(root, dict(tokens or {}))


def _forge(root: Path, tokens: dict[str, str]) -> Entry:
    """One look at the repository on its forge, where there is a token."""
    from fixbot.agent.deliver.connect import connect, take_token

    settings = load_settings(root, {})
    token = take_token(settings, tokens)
    if not token:
        return Entry("forge", True, "no token: no pull requests", "to open them: FIXBOT_FORGE_TOKEN")
    try:
        project = connect(settings, token, root).project()
    except FixbotError as error:
        return Entry("forge", False, line(error.message), error.cure)
    what = f"{line(project.url)}, pull requests for {line(settings.base_branch or project.default_branch)}"
    if project.archived:
        return Entry("forge", False, f"{what}: archived, nothing can be written to it", "unarchive it")
    return Entry("forge", True, what + ("" if project.issues else "; no issues, so no dashboard"))


def _model(root: Path, model: str | None, base_url: str | None, key: Key | None) -> Entry:
    """One small question to the endpoint, where one is named."""
    settings = load_settings(root, {"model": model, "base_url": base_url, "max_output": 256, "model_retries": 0, "model_timeout": 30})
    if settings.model is None:
        return Entry(
            "model", True, "none: findings that need judgement are reported as needs-model", "to have them fixed: --model, --base-url"
        )
    from fixbot.agent.model import connect_model
    from fixbot.patchers.model.messages import Message, ModelError, Request

    try:
        reply = connect_model(settings, key or Key()).complete(
            Request((Message("user", "Answer with the word yes."),), "fix", "", "doctor")
        )
    except ModelError as error:
        return Entry("model", False, line(str(error)), "see --model, --base-url; the key is taken from FIXBOT_API_KEY")
    return Entry("model", True, f"{line(reply.model)} answers ({reply.usage.prompt + reply.usage.completion} tokens)")


def _sandbox(root: Path) -> Iterator[Entry]:
    usable = [name for name, good, _ in explain(root) if good]
    for name, good, why in explain(root):
        if good or not usable:
            yield Entry(f"sandbox {name}", good, why)


def _tests(root: Path, python: Path | None) -> Iterator[Entry]:
    from fixbot.agent.environments import resolve

    try:
        sandbox = choose("auto", root)
        with tempfile.TemporaryDirectory(prefix="fixbot-doctor-") as folder:
            state = Path(folder)
            workspace = ws.open_workspace(root, state, "doctor")
            yield Entry("commit", True, f"{workspace.base[:10]}" + "".join(f"; {note}" for note in workspace.notes))
            environment = resolve(workspace.root, repository=root, python=python, cache=ws.state_dir() / "environments", sandbox=sandbox)
        yield Entry("tests", True, f"run with {environment.description}" + _noted(environment.notes))
    except FixbotError as error:
        yield Entry("tests", False, error.message, error.cure)


def _noted(notes: tuple[str, ...]) -> str:
    return f" ({plural(len(notes), 'note')}: {line('; '.join(notes))})" if notes else ""
