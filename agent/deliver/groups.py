"""Which fixes make one pull request: those of a rule, a file, an owner; each its own; or all."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from fixbot.agent.result import Outcome

MAX_FIXES = 100  # in one pull request: more cannot be reviewed, the others come when these are merged
OWNER_FILES = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS", ".gitlab/CODEOWNERS")
"""Where forges look for owners, first to last."""
_MAX_OWNERS, _MAX_STARS = 1 << 18, 8  # bytes of such a file, stars in a pattern

Owner = Callable[[str], str]
"""From a path to the owner's name, ``""`` for nobody's."""


@dataclass(frozen=True, slots=True)
class Group:
    """The fixes of one pull request. ``key`` is the same from run to run and makes the branch's name."""

    key: str
    fixes: tuple[Outcome, ...]

    @property
    def rank(self) -> int:
        """Severity rank of the worst finding, 0 for critical."""
        return min(one.finding.severity.rank for one in self.fixes)


def group(fixes: Sequence[Outcome], by: str, owner: Owner, held: Mapping[str, str]) -> list[Group]:
    """Sort fixes into groups. ``held``: the key of the open pull request that a finding is in already, where it stays."""
    found: dict[str, list[Outcome]] = {}
    for one in fixes:
        found.setdefault(held.get(one.finding.fingerprint) or _key(one, by, owner), []).append(one)
    return [Group(key, tuple(some[:MAX_FIXES])) for key, some in found.items()]


def _key(one: Outcome, by: str, owner: Owner) -> str:
    finding = one.finding
    match by:
        case "rule":
            return _slug(finding.rule)
        case "file":
            return _distinct(finding.path)
        case "owner":
            name = owner(finding.path)
            return _distinct(name) if name else "no-owner"
        case "finding":
            return f"{_slug(finding.rule)}-{finding.fingerprint[:10]}"
        case _:
            return "all"


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", text)[:50].strip("-") or "x"


def _distinct(text: str) -> str:
    """A slug that no other text has."""
    return f"{_slug(text)}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def owners(text: bytes) -> Owner:
    """Who owns a path by a CODEOWNERS file: the first of the owners that its last matching line names; lines that are no good count not."""
    from codeowners import CodeOwners

    known = CodeOwners("\n".join(filter(_is_sound, text[:_MAX_OWNERS].decode("utf-8", "replace").splitlines())))

    def owner(path: str) -> str:
        names = known.of(path)
        return names[0][1] if names else ""

    return owner


def _is_sound(line: str) -> bool:
    """Whether a line has a pattern, and none that takes for ever to match."""
    from codeowners import CodeOwners

    if len(line) > 1000 or line.partition(" ")[0].count("*") > _MAX_STARS:
        return False
    try:
        CodeOwners(line)
    except (ValueError, re.error):
        return False
    return True
