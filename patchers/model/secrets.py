"""Secrets in text that would leave the machine or be written down: replaced by placeholders that can be mapped back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Masked:
    """A text without its secrets. ``secrets`` maps each placeholder, such as ``<secret-1>``, to what it stands for."""

    text: str
    secrets: Mapping[str, str]

    def __repr__(self) -> str:
        return f"Masked({len(self.text)} characters, {len(self.secrets)} secrets)"


def mask(text: str) -> Masked:
    """Replace secrets by placeholders; the same secret always by the same placeholder."""
    raise NotImplementedError


def unmask(text: str, secrets: Mapping[str, str]) -> str:
    """Put the secrets back in place of their placeholders."""
    raise NotImplementedError
