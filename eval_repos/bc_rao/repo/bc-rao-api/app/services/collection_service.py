"""Collection: scrape the campaign's subreddits and keep what is relevant."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from supabase import Client

from app.integrations.apify_client import scrape_subreddit
from app.services.usage_service import UsageService
from app.utils.errors import AppError, ErrorCode
from app.utils.security import validate_subreddit_name

logger = logging.getLogger(__name__)

INSERT_BATCH_SIZE = 50
MIN_BODY_LENGTH = 40
COMMENT_WEIGHT = 2.0
TOP_POSTS = 25
UNAVAILABLE_BODIES = {"[removed]", "[deleted]"}
BOT_ACCOUNTS = {"AutoModerator", "RemindMeBot", "sneakpeekbot"}

ProgressCallback = Callable[[int, int, str], Awaitable[None]]


def matches_keywords(post: dict[str, Any], keywords: list[str]) -> bool:
    """Does a post mention one of the keywords? Without keywords all do."""
    if not keywords:
        return True
    text = f"{post.get('title', '')} {post.get('body', '')}".lower()
    return any(keyword.lower() in text for keyword in keywords)


def engagement(post: dict[str, Any]) -> float:
    """Comments say more than votes."""
    return float(post.get("upVotes", 0)) + COMMENT_WEIGHT * post.get("numberOfComments", 0)


class CollectionService:
    def __init__(self, supabase: Client) -> None:
        self.supabase = supabase

    def _known_post_ids(self, campaign_id: str) -> set[str]:
        response = (
            self.supabase.table("raw_posts")
            .select("reddit_post_id")
            .eq("campaign_id", campaign_id)
            .execute()
        )
        return {row["reddit_post_id"] for row in response.data}

    def top_posts(self, campaign_id: str, subreddit: str) -> list[dict[str, Any]]:
        """The best collected posts of one subreddit."""
        name = validate_subreddit_name(subreddit)
        response = (
            self.supabase.table("raw_posts")
            .select("title, body, score, comment_count, engagement")
            .eq("campaign_id", campaign_id)
            .eq("subreddit", name)
            .order("engagement", desc=True)
            .limit(TOP_POSTS)
            .execute()
        )
        return response.data

    def _insert_posts(self, rows: list[dict[str, Any]]) -> None:
        self.supabase.table("raw_posts").insert(rows).execute()

    async def collect_campaign(
        self,
        campaign: dict[str, Any],
        report: ProgressCallback,
    ) -> dict[str, Any]:
        """Collect posts of all target subreddits of a campaign.

        The quota of the user's plan is shared evenly by the subreddits. One that
        cannot be collected does not keep the others from being collected.

        Raises:
            AppError: VALIDATION_ERROR, COLLECTION_FAILED
        """
        target_subreddits = campaign["target_subreddits"]
        if not target_subreddits:
            raise AppError(
                code=ErrorCode.VALIDATION_ERROR,
                message="Add at least one subreddit to the campaign first",
                status_code=422,
            )
        total = len(target_subreddits)
        keywords = campaign["keywords"]

        quota = await asyncio.to_thread(
            UsageService(self.supabase).collection_quota, campaign["user_id"]
        )
        per_subreddit = max(quota // total, 1)
        known = await asyncio.to_thread(self._known_post_ids, campaign["id"])

        logger.info(
            "Collecting %d subreddits, up to %d posts each",
            total,
            per_subreddit,
        )
        collected: dict[str, int] = {}
        skipped: dict[str, dict[str, int]] = {}
        failed: list[str] = []
        last_error: Exception | None = None

        for index, subreddit in enumerate(target_subreddits):
            await report(index, total, f"Collecting r/{subreddit}")
            try:
                scraped_posts = await asyncio.to_thread(
                    scrape_subreddit,
                    subreddit,
                    per_subreddit,
                )

                rows: list[dict[str, Any]] = []
                dropped = {
                    "duplicate": 0,
                    "off_topic": 0,
                    "too_short": 0,
                    "unavailable": 0,
                    "untitled": 0,
                    "bot": 0,
                }
                for post in scraped_posts:
                    # The actor mixes community and user records into the posts
                    if post.get("dataType", "post") != "post":
                        continue
                    post_id = post["parsedId"]
                    if post_id in known:
                        dropped["duplicate"] += 1
                        continue
                    if not matches_keywords(post, keywords):
                        dropped["off_topic"] += 1
                        continue
                    title = (post.get("title") or "").strip()
                    if not title:
                        dropped["untitled"] += 1
                        continue
                    author = post.get("username")
                    if author in BOT_ACCOUNTS:
                        dropped["bot"] += 1
                        continue
                    body = post.get("body") or ""
                    if body in UNAVAILABLE_BODIES:
                        # Removed before the actor came by, nothing to learn from
                        dropped["unavailable"] += 1
                        continue
                    if len(body) < MIN_BODY_LENGTH:
                        dropped["too_short"] += 1
                        continue
                    # The actor repeats pinned posts on every page
                    known.add(post_id)
                    rows.append(
                        {
                            "campaign_id": campaign["id"],
                            "subreddit": subreddit,
                            "reddit_post_id": post_id,
                            "title": title,
                            "body": body,
                            "author": author,
                            "score": post.get("upVotes", 0),
                            "comment_count": post.get("numberOfComments", 0),
                            "engagement": engagement(post),
                            "metadata": {
                                "flair": post.get("flair"),
                                "upvote_ratio": post.get("upVoteRatio"),
                                "url": post.get("url"),
                                "over_18": bool(post.get("over18")),
                            },
                        }
                    )

                # Best first: a run that is interrupted keeps the most useful posts
                rows.sort(key=lambda row: row["engagement"], reverse=True)
                for start in range(0, len(rows), INSERT_BATCH_SIZE):
                    await asyncio.to_thread(
                        self._insert_posts,
                        rows[start : start + INSERT_BATCH_SIZE],
                    )

                collected[subreddit] = len(rows)
                skipped[subreddit] = dropped
                logger.info(
                    "Collected %d of %d posts of r/%s",
                    len(rows),
                    len(scraped_posts),
                    subreddit,
                )
                for reason, count in dropped.items():
                    if count:
                        logger.debug(
                            "Dropped %d posts of r/%s: %s",
                            count,
                            subreddit,
                            reason,
                        )
                if not rows:
                    logger.warning(
                        "Nothing of r/%s is relevant for campaign %s",
                        subreddit,
                        campaign["id"],
                    )
            except Exception as e:
                logger.exception("Collecting r/%s failed", subreddit)
                failed.append(subreddit)
                last_error = e

        if not collected:
            raise AppError(
                code=ErrorCode.COLLECTION_FAILED,
                message="None of the subreddits could be collected",
                status_code=502,
                details={"failed": failed},
            ) from last_error
        await report(total, total, "Done")
        return {
            "collected": collected,
            "skipped": skipped,
            "failed": failed,
            "total": sum(collected.values()),
        }
