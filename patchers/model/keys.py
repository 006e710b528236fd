"""Where a key may go: the key of an endpoint, taken out of the environment once and never shown, and the URLs that may be used."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import MutableMapping

from fixbot.patchers.model.messages import EndpointError

_URL = re.compile(r"(https?)://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?(/[A-Za-z0-9._~%/-]*)?")
_PRIVATE_NAMES = ("localhost", ".localhost", ".local", ".internal", ".lan", ".home.arpa")


class Key:
    """A secret that shows itself only when asked to. An empty one stands for an endpoint that needs none."""

    __slots__ = ("_secret",)

    def __init__(self, secret: str = "") -> None:
        self._secret = secret.strip()

    def reveal(self) -> str:
        """The secret itself."""
        return self._secret

    def __bool__(self) -> bool:
        return bool(self._secret)

    def __repr__(self) -> str:
        return "Key(***)" if self._secret else "Key()"

    def __reduce__(self) -> tuple[type[Key], tuple[str]]:
        raise TypeError("a key is not written down")


def take_key(base_url: str, environ: MutableMapping[str, str]) -> Key:
    """The key for an endpoint: FIXBOT_API_KEY, else OPENAI_API_KEY where the host is OpenAI's own.

    Both leave ``environ``, used or not: given ``os.environ``, no child process inherits them.
    """
    own, openai = environ.pop("FIXBOT_API_KEY", ""), environ.pop("OPENAI_API_KEY", "")
    return Key(own.strip() or (openai if is_openai(base_url) else ""))


def is_openai(base_url: str) -> bool:
    """Whether a URL is OpenAI's own API, over https."""
    match = _URL.fullmatch(base_url)
    if match is None or match[1] != "https":
        return False
    host = match[2].lower()
    return host == "api.openai.com" or host.endswith(".api.openai.com")


def check_url(base_url: str, allow_http: bool = False) -> None:
    """Refuse a URL that a key and source code must not be sent to. Raises EndpointError, which does not repeat the URL."""
    match = _URL.fullmatch(base_url)
    if match is None:
        if "@" in base_url:
            raise EndpointError("the base URL holds credentials: give the key in FIXBOT_API_KEY")
        raise EndpointError("the base URL is not of the form https://host[:port]/path, without a query")
    if match[1] == "http" and not allow_http and not _is_private(match[2].strip("[]").lower()):
        raise EndpointError("plain http to a host outside the private network: use https")


def check_key(key: Key) -> None:
    """Refuse a key that no HTTP header can hold. Raises EndpointError."""
    if not re.fullmatch(r"[\x21-\x7e]*", key.reveal()):
        raise EndpointError("the API key has spaces, control or non-ASCII characters in it")


def _is_private(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "." not in host or host.endswith(_PRIVATE_NAMES)
    return address.is_loopback or address.is_private
