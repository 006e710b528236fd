"""Settings: built-in, then ``[tool.fixbot]`` of the repository, then ``FIXBOT_*`` of the environment, then the command line."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fixbot.agent.errors import UsageError

REPOSITORY_KEYS = frozenset({"select", "ignore", "exclude", "test-command", "timeout", "test-timeout", "unsafe-fixes"})
"""The keys that a repository's own configuration may set: it must not choose what runs where and with which rights."""


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


def _environment() -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, field in Settings.model_fields.items():
        text = os.environ.get(f"FIXBOT_{key.upper()}")
        if text is not None:
            values[key] = tuple(filter(None, text.split(","))) if "tuple" in str(field.annotation) else text
    return values
