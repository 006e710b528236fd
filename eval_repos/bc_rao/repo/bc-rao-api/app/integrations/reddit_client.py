"""Reddit access for monitoring: is a post still there, and for whom?"""

import asyncio
import logging
import random
import time
from enum import Enum
from typing import Any

import httpx

from app.config import Settings

logger = logging.getLogger(__name__)

TOKEN_URL = "https://www.reddit.com/api/v1/access_token"
API_URL = "https://oauth.reddit.com"
PUBLIC_URL = "https://www.reddit.com"
USER_AGENT = "bc-rao-monitor/0.5 (post visibility checks)"
REQUEST_TIMEOUT = 15.0
TOKEN_MARGIN_SECONDS = 60
MAX_ATTEMPTS = 3

Visibility = Enum(
    "Visibility",
    {
        "VISIBLE": "visible",
        "SHADOWBANNED": "shadowbanned",
        "REMOVED": "removed",
        "DELETED": "deleted",
    },
)


class RedditClient:
    """App-only OAuth client; the token is kept until shortly before it expires.

    A post that the API shows but the public site does not show is what Reddit
    users call shadowbanned: its author sees it, nobody else does.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._token: str | None = None
        self._token_expires = 0.0

    async def check_post_visibility(self, post_id: str) -> Visibility:
        """Compare the API's view of a post with the public one.

        Args:
            post_id: base 36 id, without the "t3_" prefix

        Raises:
            httpx.HTTPError: Reddit could not be asked
        """
        token = await self._get_access_token()
        listing = await self._get_json(
            f"{API_URL}/api/info",
            params={"id": f"t3_{post_id}"},
            headers={"Authorization": f"Bearer {token}"},
        )
        children = listing.get("data", {}).get("children", []) if listing else []
        if not children:
            return Visibility.DELETED
        category = children[0]["data"].get("removed_by_category")
        if category is not None:
            return Visibility.DELETED if category == "deleted" else Visibility.REMOVED

        public = await self._get_json(
            f"{PUBLIC_URL}/comments/{post_id}.json",
            params={"limit": "1"},
        )
        return Visibility.VISIBLE if public else Visibility.SHADOWBANNED

    async def _get_access_token(self) -> str:
        """Bearer token of the app, renewed when it is about to expire.

        Reddit hands out app-only tokens for an hour or a day, depending on the
        type of the registered app.
        """
        if self._token is not None and time.monotonic() < self._token_expires:
            return self._token

        credentials = httpx.BasicAuth(
            self._settings.reddit_client_id,
            self._settings.reddit_client_secret,
        )
        async with httpx.AsyncClient(timeout=REQUEST_TIMEOUT) as client:
            response = await client.post(
                TOKEN_URL,
                auth=credentials,
                data={"grant_type": "client_credentials"},
                headers={"User-Agent": USER_AGENT},
            )
        response.raise_for_status()
        payload = response.json()

        lifetime = payload["expires_in"] - TOKEN_MARGIN_SECONDS
        self._token = payload["access_token"]
        self._token_expires = time.monotonic() + lifetime
        return payload["access_token"]

    async def _get_json(
        self,
        url: str,
        params: dict[str, str],
        headers: dict[str, str] | None = None,
    ) -> Any:
        """GET with up to three attempts; None when Reddit does not know the page."""
        request_headers = {"User-Agent": USER_AGENT, **(headers or {})}
        async with httpx.AsyncClient(timeout=REQUEST_TIMEOUT) as client:
            for attempt in range(1, MAX_ATTEMPTS + 1):
                try:
                    response = await client.get(url, params=params, headers=request_headers)
                    if response.status_code == 404:
                        return None
                    response.raise_for_status()
                    return response.json()
                except httpx.HTTPError as e:
                    if attempt == MAX_ATTEMPTS:
                        raise
                    logger.warning("Reddit attempt %d failed: %s", attempt, e)
                await asyncio.sleep(random.uniform(0, 2**attempt))
        raise RuntimeError("unreachable: the last attempt returns or raises")
