"""Apify access: scrapes subreddits with a hosted actor."""

import logging
from typing import Any

import httpx

from app.config import get_settings

logger = logging.getLogger(__name__)

ACTOR_URL = "https://api.apify.com/v2/acts/trudax~reddit-scraper-lite/run-sync-get-dataset-items"
# Wait until the actor run has finished; Apify itself gives up after 300 seconds
RUN_TIMEOUT_SECONDS = 310.0


class ApifyError(Exception):
    """The actor run failed or its answer is not a dataset."""


def scrape_subreddit(subreddit: str, max_posts: int) -> list[dict[str, Any]]:
    """Run the actor for one subreddit and return its newest posts.

    Blocking; call it in a thread.

    Raises:
        ApifyError: Apify answered with an error
        httpx.TransportError: Apify could not be reached
    """
    response = httpx.post(
        ACTOR_URL,
        params={"maxItems": str(max_posts)},
        headers={"Authorization": f"Bearer {get_settings().apify_api_token}"},
        json={
            "startUrls": [{"url": f"https://www.reddit.com/r/{subreddit}/new/"}],
            "maxItems": max_posts,
            "skipComments": True,
        },
        timeout=RUN_TIMEOUT_SECONDS,
    )
    if response.is_error:
        raise ApifyError(f"actor run for {subreddit} ended with status {response.status_code}")
    items = response.json()
    if not isinstance(items, list):
        raise ApifyError(f"unexpected answer for {subreddit}: {type(items).__name__}")
    logger.info("Apify returned %d posts of r/%s", len(items), subreddit)
    return items
