"""Settings: built-in, then ``[tool.fixbot]`` of the repository, then ``FIXBOT_*`` of the environment, then the command line."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fixbot.agent.errors import UsageError

REPOSITORY_KEYS = frozenset({"select", "ignore", "exclude", "test-command", "timeout", "test-timeout", "unsafe-fixes"})
"""The keys that a repository's own configuration may set: it must not choose what runs where and with which rights."""

DELIVERY_KEYS = frozenset(
    (
        *("group", "forge", "forge_url", "forge_login", "repository", "base_branch", "branch_prefix", "max_open", "max_new_per_run"),
        *("labels", "reviewers", "assignees", "draft", "dashboard", "upload_sarif", "rules_url"),
    )
)
"""What only decides how proven fixes are handed over, not which there are."""


class Price(BaseModel):
    """What a model costs, in USD per million tokens; ``cached`` are prompt tokens that the endpoint had already seen."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cached: float | None = Field(None, ge=0)


class Settings(BaseModel):
    """Everything that can be set. Keys in files have dashes for the underscores here; environment variables are upper case."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    jobs: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1, le=256)
    cache: bool = True
    unsafe_fixes: bool = False
    python: Path | None = None
    test_command: str | None = None
    timeout: float = Field(900, gt=0)
    test_timeout: float = Field(60, gt=0)
    baseline_runs: int = Field(2, ge=1, le=10)
    memory: int = Field(4096, ge=64, description="MiB for the tests")
    sandbox: Literal["auto", "bwrap", "landlock", "none"] = "auto"
    trust_owner: bool = False
    bug_report: tuple[Path, ...] = ()

    model: str | None = None
    base_url: str | None = None
    prices: dict[str, Price] = Field(default_factory=dict[str, Price], description="by model")
    max_cost: float | None = Field(None, ge=0, description="USD for a run")
    max_tokens: int | None = Field(None, ge=0, description="for a run, prompts and replies")
    max_cost_finding: float | None = Field(None, ge=0)
    max_tokens_finding: int | None = Field(None, ge=0)
    prompt_tokens: int = Field(6000, ge=500, description="for the first prompt of a finding")
    max_output: int = Field(4096, ge=256, description="tokens of a reply")
    model_timeout: float = Field(120, gt=0, description="seconds for a reply")
    model_retries: int = Field(2, ge=0, le=10)
    model_jobs: int = Field(4, ge=1, le=32, description="questions at once")
    model_floor: float = Field(0.2, ge=0, le=1, description="share of a rule's model fixes that must have been proven so far")
    temperature: float | None = Field(None, ge=0, le=2)
    stream: bool = False
    enforces_schema: bool = Field(False, description="the endpoint really holds replies to a JSON schema")
    candidates: int = Field(1, ge=1, le=16)
    max_lines: int = Field(40, ge=1, le=1000, description="lines that a model's fix may change")
    proof: bool = False
    describe: bool = False
    replay: Path | None = None
    record: Path | None = None

    group: Literal["rule", "file", "owner", "finding", "all"] = Field("rule", description="what makes one pull request")
    forge: Literal["github", "gitlab"] = "github"
    forge_url: str | None = Field(None, description="of the API")
    forge_login: str | None = Field(None, description="the token's account, where the forge does not tell it")
    repository: str | None = Field(None, description="owner/name on the forge")
    base_branch: str | None = Field(None, description="that pull requests are for")
    branch_prefix: str = Field("fixbot/", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*/$")
    max_open: int = Field(5, ge=0, le=100, description="pull requests open at once")
    max_new_per_run: int = Field(2, ge=0, le=100)
    labels: tuple[str, ...] = ()
    reviewers: tuple[str, ...] = ()
    assignees: tuple[str, ...] = ()
    draft: bool = False
    dashboard: bool = True
    upload_sarif: bool = False
    rules_url: str | None = Field(None, pattern=r"^https://[\w.~/:%@-]+$", description="where pull requests find the pages of the rules")

    @property
    def asks(self) -> bool:
        """Whether there is a model to ask."""
        return self.model is not None or self.replay is not None


def load_settings(root: Path, flags: Mapping[str, Any], *, config: Path | None = None, isolated: bool = False) -> Settings:
    """Merge the four sources for a repository at ``root``; ``flags`` are the command line's, None meaning "not given". Raises UsageError.

    ``config`` is a file named by the user, who may set every key in it; it takes the place of the repository's own. ``isolated`` ignores
    both.
    """
    values: dict[str, Any] = {}
    if config is not None:
        values |= _table(config, required=True)
    elif not isolated:
        own = _table(root / "pyproject.toml", required=False)
        for key in own.keys() - REPOSITORY_KEYS:
            raise UsageError(
                f"pyproject.toml: [tool.fixbot] sets `{key}`, which a repository may not set",
                f"a repository may set {', '.join(sorted(REPOSITORY_KEYS))}; pass anything else on the command line or by --config",
            )
        values |= own
    values = {key.replace("-", "_"): value for key, value in values.items()} | _environment()
    values |= {key: value for key, value in flags.items() if value is not None and value != ()}
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]).replace("_", "-")
        raise UsageError(f"setting `{where}`: {first['msg']}", "`fixbot run --help` lists the settings") from None


def settings_for(path: Path, flags: Mapping[str, Any], config: Path | None, isolated: bool) -> Settings:
    """The settings for work on a path, with its rules looked up. Raises UsageError."""
    from fixbot.detectors.registry import select_rules

    if not path.exists():
        raise UsageError(f"there is no {path}")
    settings = load_settings(_top(path), flags, config=config, isolated=isolated)
    try:
        select_rules(settings.select, settings.ignore)
    except KeyError as error:
        raise unknown_rule(str(error.args[0])) from None
    return settings


def _top(path: Path) -> Path:
    """The folder whose pyproject.toml counts: the nearest one upwards that has one, no further than the repository's top."""
    start = path.resolve()
    above = [start, *start.parents]
    top = next((index for index, folder in enumerate(above) if (folder / ".git").exists()), 0)
    return next((folder for folder in above[: top + 1] if (folder / "pyproject.toml").is_file()), start)


def unknown_rule(name: str) -> UsageError:
    """The error for a name that is no rule's and no group's."""
    from difflib import get_close_matches

    from fixbot.detectors.registry import all_rules

    near = get_close_matches(name, [*all_rules(), *(one.group for one in all_rules().values())], 1)
    return UsageError(f"there is no rule or group `{name}`", f"did you mean `{near[0]}`?" if near else "`fixbot rules` lists them")


def _table(path: Path, *, required: bool) -> dict[str, Any]:
    if path.is_symlink() and not required:
        return {}
    try:
        with open(path, "rb") as file:
            data = tomllib.load(file)
    except FileNotFoundError:
        if not required:
            return {}
        raise UsageError(f"there is no configuration file {path}") from None
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        if not required:
            return {}
        raise UsageError(f"{path} cannot be read: {error}") from None
    table: Any = data.get("tool", {}).get("fixbot", {} if path.name == "pyproject.toml" else data)
    if not isinstance(table, dict):
        raise UsageError(f"{path}: [tool.fixbot] must be a table")
    return {str(key): value for key, value in table.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def _json(key: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise UsageError(f"FIXBOT_{key.upper()} is not JSON: {error}") from None


def _environment() -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, field in Settings.model_fields.items():
        text = os.environ.get(f"FIXBOT_{key.upper()}")
        if text is not None:
            kind = str(field.annotation)
            values[key] = tuple(filter(None, text.split(","))) if "tuple" in kind else _json(key, text) if "dict" in kind else text
    return values
