"""Facts about other people's packages that detectors may not import, as tables beside this file."""

from __future__ import annotations

import importlib
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

_PLAIN = frozenset(
    [
        "abc",
        "asyncio",
        "base64",
        "collections",
        "collections.abc",
        "concurrent.futures",
        "contextlib",
        "copy",
        "dataclasses",
        "datetime",
        "decimal",
        "enum",
        "fractions",
        "functools",
        "hashlib",
        "http",
        "io",
        "itertools",
        "json",
        "logging",
        "math",
        "operator",
        "os",
        "os.path",
        "pathlib",
        "random",
        "re",
        "secrets",
        "shutil",
        "statistics",
        "string",
        "struct",
        "subprocess",
        "tempfile",
        "threading",
        "time",
        "types",
        "typing",
        "unittest",
        "unittest.mock",
        "urllib.parse",
        "urllib.request",
        "uuid",
        "weakref",
    ]
)
"""Standard library modules that may be imported to ask for their names: nothing happens when they are."""


@cache
def table(name: str) -> Mapping[str, Any]:
    """A table as it stands in ``<name>.toml``."""
    return tomllib.loads((Path(__file__).parent / f"{name}.toml").read_text("utf-8"))


@cache
def exported_by(module: str) -> frozenset[str]:
    """Public names that a module is known to export: plain standard library modules are asked, others looked up in ``exports.toml``."""
    if module in _PLAIN:
        return frozenset(name for name in dir(importlib.import_module(module)) if not name.startswith("_"))
    return frozenset(table("exports").get(module, ()))
