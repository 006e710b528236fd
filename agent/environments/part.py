"""The small pieces that the readers of manifests and requirement files hand on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["core", "test", "constraint", "own", "dropped"]


@dataclass(frozen=True, slots=True)
class Part:
    """What one manifest says about a project.

    Requirements are unparsed lines; ``roots`` are import roots relative to the manifest's folder; '' and () mean not said.
    """

    name: str = ""
    version: str = ""
    python: str = ""
    core: tuple[str, ...] = ()
    extras: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    entry_points: Mapping[str, Mapping[str, str]] = field(default_factory=dict[str, Mapping[str, str]])
    roots: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Declaration:
    """One requirement line of the file ``source``, unparsed.

    ``own`` is a project of the tree itself, as ``folder[extras]``; ``dropped`` is a line that is not used, ``reason`` says why.
    """

    kind: Kind
    line: str
    source: str
    reason: str = ""
