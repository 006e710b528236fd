"""What delivery needs of a forge: pull requests, comments, one dashboard issue, code scanning. GitHub and GitLab speak it.

Whatever a forge returns is text of others: titles, bodies, comments and names are data, never followed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol


class State(StrEnum):
    """What became of a pull request."""

    OPEN = "open"
    CLOSED = "closed"
    MERGED = "merged"


@dataclass(frozen=True, slots=True)
class Project:
    """The repository on the forge. ``issues`` says whether it has an issue tracker, ``archived`` that nothing can be written."""

    url: str
    default_branch: str
    issues: bool = True
    archived: bool = False


@dataclass(frozen=True, slots=True)
class Pull:
    """A pull request from a branch of the repository itself (one from a fork is never ours). ``head`` is the branch's commit.

    ``merged_as`` is the commit that a merged one became, as far as the forge tells.
    """

    number: int
    url: str
    branch: str
    head: str
    base: str
    state: State
    title: str
    body: str
    draft: bool = False
    labels: tuple[str, ...] = ()
    merged_as: str = ""


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment on a pull request or an issue. ``trusted``: its author may write to the repository; ``ours``: fixbot's own account."""

    id: int
    author: str
    body: str
    trusted: bool
    ours: bool


@dataclass(frozen=True, slots=True)
class Issue:
    """An issue that fixbot's own account has opened."""

    number: int
    url: str
    title: str
    body: str
    open: bool


@dataclass(frozen=True, slots=True)
class People:
    """Who is asked: labels to set (made where they don't exist), logins (or ``org/team``) to review, logins to assign."""

    labels: tuple[str, ...] = ()
    reviewers: tuple[str, ...] = ()
    assignees: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Remote:
    """Where git pushes: ``url`` without credentials, ``header`` the Authorization header's value, a secret that never leaves memory and
    the environment of the one git process that needs it.
    """

    url: str
    header: str

    def __repr__(self) -> str:
        return f"Remote({self.url!r}, ...)"


class Forge(Protocol):
    """A repository on a forge. Every method raises ForgeError, whose cure names the missing permission or when to come back.

    Writes find or create: repeated after a crash or a lost answer they make no twin.
    """

    name: str

    @property
    def notes(self) -> Sequence[str]:
        """What a person should know about how things were done so far, one sentence each: a long list was cut, no draft was possible."""
        ...

    def project(self) -> Project:
        """The repository itself."""
        ...

    def remote(self) -> Remote:
        """Where and as whom git pushes."""
        ...

    def pulls(self, prefix: str) -> Sequence[Pull]:
        """The pull requests in every state whose branch begins with ``prefix``, newest first."""
        ...

    def open_pull(self, branch: str, base: str, title: str, body: str, *, draft: bool) -> Pull:
        """The open pull request of a branch, opened if there is none."""
        ...

    def edit_pull(self, number: int, *, title: str | None = None, body: str | None = None, close: bool = False) -> None:
        """Change what is given; ``close`` without merging."""
        ...

    def invite(self, number: int, people: People) -> Sequence[str]:
        """Set labels, reviewers and assignees. Returns what could not be set, one sentence each: that is no reason to fail."""
        ...

    def comments(self, number: int) -> Sequence[Comment]:
        """The comments on a pull request or issue, oldest first."""
        ...

    def comment(self, number: int, body: str, marker: str) -> None:
        """Say something once: nothing happens where a comment of ours already holds ``marker`` (an HTML comment, put before the text)."""
        ...

    def dashboard(self, marker: str) -> Issue | None:
        """The oldest issue of our own account whose body holds ``marker``, open ones before closed ones; later open twins are closed."""
        ...

    def save_dashboard(self, issue: Issue | None, title: str, body: str, marker: str) -> Issue:
        """Write the dashboard: ``issue`` anew (and open it again), or a new one with ``marker`` before its text."""
        ...

    def upload_sarif(self, sarif: Mapping[str, Any], commit: str, ref: str) -> str:
        """Hand a SARIF log to code scanning; returns where its processing can be looked up. ``ref`` is ``refs/heads/...``."""
        ...
