"""What git prints when a forge turns it away, as a reason and a cure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fixbot.agent.deliver.tokens import told


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why git failed. ``passing``: it may work later; ``final``: the forge does not let this token in, so looking would fail, too."""

    reason: str
    cure: str
    passing: bool = False
    final: bool = False


_DENIED = (
    (r"SAML SSO", "authorize the token for the organization's single sign-on"),
    (r"Authentication failed|could not read (?:Username|Password)|\b401\b", "check that the forge's token is valid and has not expired"),
    (
        r"repository '.*' not found|returned error: 404|HTTP 404",
        "check the repository's name; a private one is not found with a token that must not read it",
    ),
    (r"returned error: 30\d|redirect", "the repository was renamed or moved: use its new address"),
    (r"[Cc]ertificate", "see the server's certificate; an authority of your own: SSL_CERT_FILE"),
)
_REFUSED = (
    (
        r"without `?workflows?`?(?: scope| permission)",
        "let the token change workflow files (`workflows: write`; classic tokens: scope `workflow`), or leave them out with `exclude`",
    ),
    (r"was archived|is archived", "the repository is archived and takes no changes"),
    (
        r"GH006|GH013|[Pp]rotected branch|[Rr]epository rule",
        "let the token's account push to branches of fixbot in the branch protection or ruleset",
    ),
    (r"GH001|file size limit|quota|over your .*limit", "make room, or leave large files out"),
    (r"shallow update not allowed", "fetch the whole history before the run (actions/checkout: `fetch-depth: 0`)"),
    (r"hook declined", "a hook of the forge refused it, see its own words"),
    (
        r"returned error: 403|HTTP 403|Permission to .* denied|not allowed to push|not allowed to upload",
        "give the token `contents: write` (GitLab: scope `write_repository`, role Developer)",
    ),
    (r"couldn't find remote ref", "the branch is gone from the forge"),
    (r"exists; cannot create|directory/file conflict", "a branch has the name of a folder of this one: rename or delete it"),
)
_PASSING = re.compile(
    r"returned error: (?:408|429|5\d\d)|HTTP (?:408|429|5\d\d)|hung up|[Ee]mpty reply|early EOF|unexpected disconnect|RPC failed"
    r"|[Cc]ould not resolve|[Ff]ailed to connect|[Cc]onnection|[Oo]peration too slow|timed out|transfer closed|stale info|cannot lock ref"
    r"|failed to update ref|incorrect old value|unable to access"
)
_NOISE = re.compile(r"hint:|To |error: failed to push some refs|[\s=#*.-]*$")


def refusal(said: Sequence[str], secrets: Sequence[str]) -> Refusal:
    """The reason in the last lines of git's standard error, without ``secrets``."""
    text = "\n".join(said)
    reason = told("; ".join(_reasons(said)) or "git gave no reason", secrets)
    for pattern, cure in (*_DENIED, *_REFUSED):
        if re.search(pattern, text):
            return Refusal(reason, cure, final=(pattern, cure) in _DENIED)
    if _PASSING.search(text):
        return Refusal(reason, "the forge could not be reached or had an error of its own: try again later", passing=True)
    return Refusal(reason, "see what the forge says about it")


def _reasons(said: Sequence[str]) -> Iterator[str]:
    """What git says about the branch, the forge's own words, git's other errors; without what is meant for a person at a terminal."""
    lines = [line.strip() for line in said if line.strip() and not _NOISE.match(line)]
    yield from (found[1] for line in lines if line.startswith("!") and (found := re.search(r"\(([^()]*)\)$", line)))
    yield from (words for line in lines if line.startswith("remote:") and not _NOISE.match(words := line[7:].strip()))
    yield from (line.partition(" ")[2] for line in lines if line.startswith(("fatal:", "error:")))
