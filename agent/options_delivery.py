"""The command line's options for delivery, which ``run --pr`` and ``deliver`` share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

PullRequests = Annotated[
    bool, typer.Option("--pr", help="Open or update pull requests instead of making a local branch. Token: FIXBOT_FORGE_TOKEN.")
]
BundleFile = Annotated[
    Path | None, typer.Option("--bundle", metavar="FILE", help="Make no branch; write the run to a file for `fixbot deliver`.")
]
GroupBy = Annotated[
    Literal["rule", "file", "owner", "finding", "all"] | None, typer.Option("--group", help="What makes one pull request [default: rule].")
]
ForgeName = Annotated[Literal["github", "gitlab"] | None, typer.Option("--forge", help="Kind of forge [default: github].")]
ForgeUrl = Annotated[
    str | None, typer.Option("--forge-url", metavar="URL", help="Its API, as https://HOST/api/v3 [default: github.com, or the CI job's].")
]
RepositoryName = Annotated[
    str | None,
    typer.Option("--repository", metavar="OWNER/NAME", help="The repository on the forge [default: the CI job's, or that of origin]."),
]
BaseBranch = Annotated[str | None, typer.Option("--base-branch", help="Branch that the pull requests are for [default: the forge's].")]
MaxOpen = Annotated[int | None, typer.Option("--max-open", help="Pull requests of fixbot that may be open at once [default: 5].")]
MaxNew = Annotated[int | None, typer.Option("--max-new-per-run", help="Pull requests that one run may open [default: 2].")]
Labels = Annotated[list[str] | None, typer.Option("--label", help="Label for new pull requests (repeatable).")]
Reviewers = Annotated[list[str] | None, typer.Option("--reviewer", help="Who is asked to review: login or org/team (repeatable).")]
Assignees = Annotated[list[str] | None, typer.Option("--assignee", help="Who is assigned (repeatable).")]
Draft = Annotated[bool, typer.Option("--draft", help="Open them as drafts.")]
NoDashboard = Annotated[bool, typer.Option("--no-dashboard", help="Keep no dashboard issue.")]
Describe = Annotated[bool, typer.Option("--describe", help="Let the model describe each fix in its pull request, marked as its words.")]
UploadSarif = Annotated[bool, typer.Option("--upload-sarif", help="Also hand the findings to GitHub code scanning.")]

_AS_THEY_ARE = ("group", "forge", "forge_url", "repository", "base_branch", "max_open", "max_new_per_run")


def delivery_flags(given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a command's parameters, by name, say about delivery; None for what is not given."""
    return {name: given[name] for name in _AS_THEY_ARE} | {
        "labels": tuple(given["label"] or ()),
        "reviewers": tuple(given["reviewer"] or ()),
        "assignees": tuple(given["assignee"] or ()),
        "draft": given["draft"] or None,
        "dashboard": False if given["no_dashboard"] else None,
        "upload_sarif": given["upload_sarif"] or None,
    }
