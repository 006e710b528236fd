"""GitHub's refusals, as what to do about them: the permission that is missing, the setting that is in the way."""

from __future__ import annotations

import re

from fixbot.agent.deliver.fields import entries, fields, text
from fixbot.agent.deliver.limits import Answer

_PERMISSIONS = (
    (r"/code-scanning/", "security-events"),
    (r"/pulls", "pull-requests"),
    (r"/issues|/labels", "issues"),
    (r"/git/|/contents|/branches", "contents"),
)
_MESSAGES = (
    (
        r"not permitted to create or approve pull requests",
        "allow it in the repository's (or organization's) Settings > Actions > General: "
        "`Allow GitHub Actions to create and approve pull requests`",
    ),
    (r"SAML", "authorize the token for the organization's single sign-on"),
    (r"archived", "the repository is archived and takes no changes"),
    (r"IP allow list", "the organization admits only listed addresses: run where one of them is used"),
    (
        r"[Aa]dvanced [Ss]ecurity|[Cc]ode [Ss]canning is not enabled",
        "switch code scanning on in Settings > Advanced Security",
    ),
    (r"[Pp]rotected branch|[Rr]epository rule", "let the token's account change branches of fixbot in the branch protection or ruleset"),
    (r"No commits between", "the branch has nothing that its base lacks: push the fixes first"),
    (r"[Tt]oo long", "the text is longer than GitHub takes"),
    (r"has been blocked|suspended", "the account or repository is blocked by GitHub"),
)
_CURES = {
    401: "the token is not valid or has expired: make a new one",
    404: "check the repository's name; a private one is not found with a token that may not read it",
    410: "issues are switched off in the repository: no dashboard is possible",
    413: "it is too large for GitHub",
}


def explain(method: str, path: str, answer: Answer) -> tuple[str, str]:
    """GitHub's words and what to do about them."""
    words = said(answer)
    for pattern, cure in _MESSAGES:
        if re.search(pattern, words):
            return words, cure
    if answer.status == 403:
        return words, _permission(method, path, answer)
    return words, _CURES.get(answer.status, "see what GitHub says about it")


def said(answer: Answer) -> str:
    """The message of a refusal and those of its errors."""
    errors = entries(fields(answer.data).get("errors"))
    details = [text(one, "message") or f"{text(one, 'field')} {text(one, 'code')}".strip() for one in errors]
    return ": ".join(filter(None, (text(answer.data, "message") or "no reason given", "; ".join(filter(None, details)))))


def _permission(method: str, path: str, answer: Answer) -> str:
    given = answer.headers.get("x-accepted-github-permissions", "")
    listed = re.findall(r"([a-z_]{2,40})=(read|write|admin)", given[:500])
    if not listed:
        level = "read" if method == "GET" else "write"
        listed = [(next((name for part, name in _PERMISSIONS if re.search(part, path)), "contents"), level)]
    wanted = " or ".join(dict.fromkeys(f"`{name.replace('_', '-')}: {level}`" for name, level in listed))
    return f"give the token the permission {wanted} (in a workflow: below `permissions:`)"
