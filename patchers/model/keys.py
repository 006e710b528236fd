"""The key of an endpoint: taken out of the environment once, never shown."""

from __future__ import annotations

from collections.abc import MutableMapping


class Key:
    """A secret that shows itself only when asked to. An empty one stands for an endpoint that needs none."""

    __slots__ = ("_secret",)

    def __init__(self, secret: str = "") -> None:
        self._secret = secret

    def reveal(self) -> str:
        """The secret itself."""
        return self._secret

    def __bool__(self) -> bool:
        return bool(self._secret)

    def __repr__(self) -> str:
        return "Key(***)" if self._secret else "Key()"


def take_key(base_url: str, environ: MutableMapping[str, str]) -> Key:
    """The key for an endpoint: FIXBOT_API_KEY, else OPENAI_API_KEY where the host is OpenAI's own. Both leave ``environ``."""
    raise NotImplementedError
