"""Which repository on which forge, and with whose token: from the settings, the environment of a CI job, the checkout's ``origin``."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, MutableMapping
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

from fixbot.agent import git
from fixbot.agent.config import Settings
from fixbot.agent.deliver.forge import Forge
from fixbot.agent.deliver.http import Manners
from fixbot.agent.errors import ForgeError, UsageError
from fixbot.agent.repository import discover
from fixbot.patchers.model.keys import Key

TOKENS = ("FIXBOT_FORGE_TOKEN", "GITHUB_TOKEN", "GH_TOKEN", "GITLAB_TOKEN")
"""The variables that hold tokens; they leave the environment when fixbot starts."""
_GITHUB, _GITLAB = "https://api.github.com", "https://gitlab.com/api/v4"
_NAME = r"[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)+?"


def take_token(settings: Settings, given: MutableMapping[str, str]) -> Key:
    """The forge's token out of ``given``: FIXBOT_FORGE_TOKEN, else the forge's usual variable where that belongs to the same host.

    GITHUB_TOKEN and GH_TOKEN are for github.com or, in a job, for the host of GITHUB_API_URL; GITLAB_TOKEN for gitlab.com or the host of
    CI_API_V4_URL.
    """
    own = given.get("FIXBOT_FORGE_TOKEN", "").strip()
    if own:
        return Key(own)
    host = urlsplit(_api(settings)).hostname
    usual = {
        "github": (("GITHUB_TOKEN", "GH_TOKEN"), (_GITHUB, os.environ.get("GITHUB_API_URL", ""))),
        "gitlab": (("GITLAB_TOKEN",), (_GITLAB, os.environ.get("CI_API_V4_URL", ""))),
    }
    names, places = usual[settings.forge]
    if host not in {urlsplit(place).hostname for place in places if place}:
        return Key()
    return Key(next((text for name in names if (text := given.get(name, "").strip())), ""))


def connect(settings: Settings, token: Key, path: Path, manners: Manners | None = None) -> Forge:
    """The repository on the forge. Nothing is sent yet. Raises ForgeError or UsageError, which say what is missing."""
    api = _api(settings)
    server = _server(settings, api)
    name = settings.repository or _of_job(settings, server) or _of_origin(path, server)
    if not name:
        raise UsageError(f"which repository on {server} is meant?", "name it: --repository OWNER/NAME")
    if not token:
        usual = "GITHUB_TOKEN" if settings.forge == "github" else "GITLAB_TOKEN"
        raise ForgeError(f"there is no token for {server}", f"set FIXBOT_FORGE_TOKEN (or {usual}, which is used for its own host only)")
    agent = f"fixbot/{version('fixbot')}"
    if settings.forge == "gitlab":
        from fixbot.agent.deliver.gitlab import open_gitlab

        return open_gitlab(name, token.reveal(), agent, api=api, server=server, manners=manners)
    from fixbot.agent.deliver.github import open_github

    login = "" if settings.forge_login is None else settings.forge_login
    return open_github(name, token.reveal(), agent, api=api, server=server, login=login, manners=manners)


def _api(settings: Settings) -> str:
    if settings.forge_url:
        return settings.forge_url.rstrip("/")
    job = "GITHUB_API_URL" if settings.forge == "github" else "CI_API_V4_URL"
    return os.environ.get(job, "").rstrip("/") or (_GITHUB if settings.forge == "github" else _GITLAB)


def _server(settings: Settings, api: str) -> str:
    """Where the repository's pages and its git are, for the address of an API."""
    if api == _GITHUB:
        return "https://github.com"
    return re.sub(r"/api(?:/v\d+)?$", "", api)


def _of_job(settings: Settings, server: str) -> str:
    """The repository that a CI job runs for, if that is on the same server."""
    names: Mapping[str, tuple[str, str]] = {
        "github": ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY"),
        "gitlab": ("CI_SERVER_URL", "CI_PROJECT_PATH"),
    }
    place, name = (os.environ.get(key, "") for key in names[settings.forge])
    return name if place.rstrip("/") == server else ""


def _of_origin(path: Path, server: str) -> str:
    """The repository that the checkout's ``origin`` names, if that is on the server: only its name is taken, never its address."""
    repository = discover(path)
    asked = ("config", "--file", str(repository.common / "config"), "--no-includes", "--get", "remote.origin.url")
    found = git.attempt(None, *asked, outside=repository.root)
    host = re.escape(urlsplit(server).netloc)
    url = os.fsdecode(found or b"").strip()
    match = re.fullmatch(rf"(?:https?://(?:[^/@]*@)?{host}/|(?:ssh://)?git@{host}[:/])({_NAME})(?:\.git)?/?", url)
    return match[1] if match else ""
