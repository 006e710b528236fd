"""Requests held against GitHub's own description of its REST API, where that is at hand."""

from __future__ import annotations

import json
import os
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

if TYPE_CHECKING:
    from forge_rig import Request

_REF = re.compile(r"(/repos/[^/]+/[^/]+/(?:git/(?:ref|refs|matching-refs)|branches|contents|labels))/(.+)")


class Contract:
    """A loaded description (the whole one: 0.3 s, 130 MB; about 10 ms a request)."""

    def __init__(self, path: Path) -> None:
        from openapi_core import Config, OpenAPI

        unchecked: Any = None  # the description itself is not checked: that takes minutes
        self._api: Any = OpenAPI.from_dict(json.loads(path.read_bytes()), config=Config(spec_validator_cls=unchecked))

    def check(self, request: Request) -> str:
        """What a request breaks, in words; empty for none."""
        if not request.headers.get("user-agent", "").strip():
            return "no User-Agent"
        if request.path.startswith(("/api/graphql", "/repositories/")):
            return ""  # another protocol; what a redirect leads to
        if "x-github-api-version" not in request.headers:
            return "no X-GitHub-Api-Version"
        return self._broken(request)

    def _broken(self, request: Request) -> str:
        from openapi_core.exceptions import OpenAPIError
        from openapi_core.testing import MockRequest

        path = urlsplit(request.path).path
        if ref := _REF.fullmatch(path):  # a {ref} of the description has no slash
            path = f"{ref[1]}/{quote(unquote(ref[2]), safe='')}"
        kind = "application/json" if request.raw else ""
        one = MockRequest("https://api.github.com", request.method.lower(), path, args=dict(request.query), data=request.raw or None)
        one.content_type = kind
        try:
            self._api.validate_request(one)
        except OpenAPIError as error:
            cause: Any = error.__cause__ or error
            details = [str(part.message)[:200] for part in getattr(cause, "schema_errors", ())]
            return f"{type(error).__name__}: {details or str(cause)[:300]}"
        return ""


@cache
def contract() -> Contract | None:
    """The contract, where FIXBOT_GITHUB_OPENAPI names GitHub's description."""
    named = os.environ.get("FIXBOT_GITHUB_OPENAPI", "")
    return Contract(Path(named)) if named else None
