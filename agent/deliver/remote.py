"""Branches on the forge, by git over HTTP: listed, fetched, pushed and deleted, always with a lease on the commit that is replaced.

The credentials are in the environment of the one git process that needs them and nowhere else. A push whose answer is lost is looked
up before it is tried again; with the lease, trying again can neither overwrite nor double anything.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Sequence
from typing import NoReturn

from fixbot.agent import git
from fixbot.agent import workspace as ws
from fixbot.agent.deliver import refusals
from fixbot.agent.deliver.forge import Remote
from fixbot.agent.deliver.tokens import in_header, mask
from fixbot.agent.errors import ForgeError, RepositoryError
from fixbot.agent.workspace import Workspace
from fixbot.patchers.model.keys import check_url
from fixbot.patchers.model.messages import EndpointError

__all__ = ["WAITS", "Moved", "delete", "fetch", "heads", "is_ours", "push"]

logger = logging.getLogger(__name__)

WAITS = (2.0, 8.0)  # seconds before the second and the third attempt
DEPTH = 200  # commits of a remote branch that a shallow clone gets
_MOST = 1000  # commits on a branch that are looked at
_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_LISTED = re.compile(rb"([0-9a-f]{40}|[0-9a-f]{64})\trefs/heads/([^\n]+)")
_SETTINGS = {"http.followRedirects": "false", "http.lowSpeedLimit": "1", "http.lowSpeedTime": "120", "push.followTags": "false"}
# What reaches a forge behind a company's proxy or certificate authority. Proxies may hold credentials.
_PROXIES = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY")
_NETWORK = (*_PROXIES, "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO")
_TRAILER = "%(trailers:key={},valueonly,unfold,separator=%x2C)"


class Moved(ForgeError):
    """Somebody else has changed the branch: ``found`` is the commit that it is at now, None where it is gone."""

    def __init__(self, branch: str, found: str | None) -> None:
        where = f"is at {found[:12]} now" if found else "is gone"
        super().__init__(f"branch {branch} was changed by somebody else: it {where}", "nothing was pushed; run fixbot again")
        self.found = found


def heads(workspace: Workspace, remote: Remote, prefix: str = "", waits: Sequence[float] = WAITS) -> dict[str, str]:
    """The commit of every branch on the forge whose name begins with ``prefix``. Raises ForgeError."""
    listed = _read(workspace, remote, ("ls-remote", "--heads", "--refs", "--", remote.url), waits)
    found = (match for line in listed.split(b"\n") if (match := _LISTED.fullmatch(line)))
    names = {os.fsdecode(match[2]): match[1].decode() for match in found}
    return {name: commit for name, commit in names.items() if name.startswith(prefix)}


def fetch(workspace: Workspace, remote: Remote, branch: str, waits: Sequence[float] = WAITS) -> str:
    """Bring a branch into the clone, as ``refs/fixbot/remote/BRANCH``; its commit. Raises ForgeError, also when there is none.

    Into a shallow clone come its last ``DEPTH`` commits, into a complete one those that it lacks.
    """
    ref = ws.branch_ref(workspace, branch)
    kept = f"refs/fixbot/remote/{branch}"
    depth = [f"--depth={DEPTH}"] if (workspace.root / ".git" / "shallow").exists() else []
    _read(workspace, remote, ("fetch", *ws.FETCH, *depth, "--", remote.url, f"+{ref}:{kept}"), waits)
    return git.run(workspace.root / ".git", "rev-parse", "--verify", kept, outside=workspace.repository).decode().strip()


def push(workspace: Workspace, remote: Remote, branch: str, sha: str, expect: str | None, waits: Sequence[float] = WAITS) -> None:
    """Set a branch on the forge to ``sha`` where it is at ``expect`` (None: where there is none). Done when it is there already.

    Raises Moved when it is somewhere else, ForgeError when the forge refuses or cannot be reached.
    """
    _check(sha, expect or sha)
    _update(workspace, remote, branch, sha, expect, waits)


def delete(workspace: Workspace, remote: Remote, branch: str, expect: str, waits: Sequence[float] = WAITS) -> None:
    """Delete a branch on the forge where it is at ``expect``. Done when it is gone already. Raises as ``push`` does."""
    _check(expect)
    _update(workspace, remote, branch, None, expect, waits)


def _check(*ids: str) -> None:
    if not all(map(_ID.fullmatch, ids)):
        raise ValueError(f"not the full ids of commits: {ids}")


def _update(workspace: Workspace, remote: Remote, branch: str, sha: str | None, expect: str | None, waits: Sequence[float]) -> None:
    ref = ws.branch_ref(workspace, branch)
    flags = ("--no-verify", "--recurse-submodules=no", f"--force-with-lease={ref}:{expect or ''}")
    for wait in (*waits, None):
        try:
            _git(workspace, remote, ("push", *flags, "--", remote.url, f"{sha or ''}:{ref}"))
            return
        except git.GitFailure as failure:
            refusal = refusals.refusal(failure.said, _secrets(remote))
        if not refusal.final:
            found = _look(workspace, remote, branch, waits, refusal)
            if found == sha:
                return
            if found != expect:
                raise Moved(branch, found)
        if wait is None or not refusal.passing:
            _fail(f"branch {branch} could not be {'pushed' if sha else 'deleted'}", refusal)
        logger.info("%s; trying again", refusal.reason)
        time.sleep(wait)


def _look(workspace: Workspace, remote: Remote, branch: str, waits: Sequence[float], refusal: refusals.Refusal) -> str | None:
    try:
        return heads(workspace, remote, branch, waits).get(branch)
    except ForgeError as error:
        raise ForgeError(
            f"whether branch {branch} was pushed is not known: {refusal.reason}; {error.message}", "run fixbot again: it looks first"
        ) from None


def _fail(what: str, refusal: refusals.Refusal) -> NoReturn:
    raise ForgeError(f"{what}: {refusal.reason}", refusal.cure)


def _read(workspace: Workspace, remote: Remote, command: Sequence[str], waits: Sequence[float]) -> bytes:
    for wait in (*waits, None):
        try:
            return _git(workspace, remote, command)
        except git.GitFailure as failure:
            refusal = refusals.refusal(failure.said, _secrets(remote))
        if wait is None or not refusal.passing:
            _fail(f"{mask(remote.url, _secrets(remote))} cannot be read", refusal)
        logger.info("%s; trying again", refusal.reason)
        time.sleep(wait)
    raise AssertionError("the last attempt returns or raises")


def _secrets(remote: Remote) -> tuple[str, ...]:
    return in_header(remote.header)


def _git(workspace: Workspace, remote: Remote, command: Sequence[str]) -> bytes:
    try:
        check_url(remote.url)
    except EndpointError as error:
        raise ForgeError(f"git cannot use the forge's address: {error}", "see the address of the forge's server") from None
    settings = {f"http.{remote.url}.extraHeader": f"Authorization: {remote.header}", **_SETTINGS}
    secret = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (key, value) in enumerate(settings.items()):
        secret |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    secret |= {name: os.environ[name] for name in _NETWORK if name in os.environ}
    if "SSL_CERT_FILE" in secret:  # which not every build of curl heeds
        secret.setdefault("GIT_SSL_CAINFO", secret["SSL_CERT_FILE"])
    env = {"GIT_ALLOW_PROTOCOL": "https:http"}
    try:
        return git.run(workspace.root / ".git", *command, outside=workspace.repository, env=env, secret=secret)
    except (git.GitFailure, git.GitMissing):
        raise
    except RepositoryError as error:
        raise ForgeError(error.message, "the forge may be slow: run fixbot again, it looks first") from None


def is_ours(workspace: Workspace, sha: str) -> bool:
    """Whether a branch that ends in ``sha`` (a commit of the clone) has commits of fixbot alone, on top of the base that they name.

    Each must have fixbot as its author and its committer, one parent, and the trailers ``Fixbot-Run`` and ``Fixbot-Base``; the latter,
    the same in all, is the parent of the first. Raises RepositoryError.
    """
    _check(sha)
    fields = ("%H", "%P", "%ae", "%ce", _TRAILER.format("Fixbot-Run"), _TRAILER.format("Fixbot-Base"))
    command = ("log", "-z", "--first-parent", f"--max-count={_MOST}", f"--format=tformat:{'%x00'.join(fields)}", sha, "--")
    listed = git.run(workspace.root / ".git", *command, outside=workspace.repository).decode("utf-8", "replace").split("\0")
    base = listed[5]
    for commit, parent, author, committer, run, named in zip(*(iter(listed),) * 6, strict=False):
        if not (author == committer == git.IDENTITY[1] and run and _ID.fullmatch(base) and named == base and commit != base):
            return False
        if parent == base or not _ID.fullmatch(parent):
            return parent == base
    return False
