"""Texts for models, as Markdown files beside this one, and how to read them. What belongs to a finding is appended, never filled in."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent


@cache
def load(name: str) -> str:
    """The text of ``<name>.md``. Raises FileNotFoundError."""
    return (_FOLDER / f"{name}.md").read_text("utf-8").strip()


@cache
def versions() -> dict[str, str]:
    """Each prompt's name with the beginning of its SHA-256: which wording a run used."""
    return {path.stem: hashlib.sha256(path.read_bytes()).hexdigest()[:12] for path in sorted(_FOLDER.glob("*.md"))}
