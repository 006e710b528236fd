"""Registration and state of monitored posts (shadow_table)."""

import logging
from collections import Counter
from datetime import datetime, timedelta, timezone
from typing import Any

from supabase import Client

from app.utils.errors import AppError, ErrorCode
from app.utils.security import parse_post_url

logger = logging.getLogger(__name__)

# Hours between two checks. New accounts are filtered more aggressively, what
# happens to their posts is known within a few hours.
NEW_ACCOUNT_INTERVAL = 1
ESTABLISHED_ACCOUNT_INTERVAL = 4
FIRST_CHECK_MINUTES = 15


class MonitoringService:
    """Every write to shadow_table that is not a check's history goes through here."""

    def __init__(self, supabase: Client) -> None:
        self.supabase = supabase

    def find_post(self, user_id: str, reddit_post_id: str) -> dict[str, Any] | None:
        """The user's monitoring entry of a Reddit post, if there is one.

        A post can be monitored by several users, but only once by each.
        """
        response = (
            self.supabase.table("shadow_table")
            .select("id, status")
            .eq("user_id", user_id)
            .eq("reddit_post_id", reddit_post_id)
            .limit(1)
            .execute()
        )
        return response.data[0] if response.data else None

    def list_posts(
        self,
        user_id: str,
        campaign_id: str | None = None,
        status: str | None = None,
    ) -> list[dict[str, Any]]:
        """A user's monitored posts, newest first.

        Args:
            user_id: owner of the posts
            campaign_id: only posts of this campaign
            status: only posts in this status, e.g. "Active"
        """
        query = (
            self.supabase.table("shadow_table")
            .select("*")
            .eq("user_id", user_id)
        )
        if campaign_id is not None:
            query = query.eq("campaign_id", campaign_id)
        if status is not None:
            query = query.eq("status", status)
        return query.order("submitted_at", desc=True).execute().data

    def register_post(
        self,
        user_id: str,
        campaign_id: str,
        draft_id: str | None,
        post_url: str,
        reddit_username: str,
    ) -> dict[str, Any]:
        """Start monitoring a post; the caller has checked for duplicates.

        Args:
            user_id: owner of the campaign
            campaign_id: campaign that the post belongs to
            draft_id: draft that was posted; None for posts written by hand
            post_url: link to the post
            reddit_username: account that posted

        Returns:
            The new row of shadow_table.

        Raises:
            AppError: VALIDATION_ERROR when the link does not lead to a post
        """
        subreddit, reddit_post_id = parse_post_url(post_url)

        # account_status is NOT in subscriptions table, so the plan is the proxy:
        # who pays usually brings an account that has been around for a while
        sub_response = self.supabase.table("subscriptions").select("plan").eq("user_id", user_id).execute()
        plan = sub_response.data[0]["plan"] if sub_response.data else "trial"
        established = plan != "trial"
        account_status = "Established" if established else "New"
        interval = ESTABLISHED_ACCOUNT_INTERVAL if established else NEW_ACCOUNT_INTERVAL

        # Accounts that are monitored already keep the status of their last post
        previous = (
            self.supabase.table("shadow_table")
            .select("account_status")
            .eq("user_id", user_id)
            .eq("reddit_username", reddit_username)
            .order("submitted_at", desc=True)
            .limit(1)
            .execute()
        )
        account_status = (
            previous.data[0]["account_status"] if previous.data else "New"
        )

        now = datetime.now(timezone.utc)
        first_check = now + timedelta(minutes=FIRST_CHECK_MINUTES)
        response = (
            self.supabase.table("shadow_table")
            .insert(
                {
                    "user_id": user_id,
                    "campaign_id": campaign_id,
                    "draft_id": draft_id,
                    "reddit_post_id": reddit_post_id,
                    "reddit_post_url": post_url,
                    "reddit_username": reddit_username,
                    "subreddit": subreddit,
                    "account_status": account_status,
                    "status": "Active",
                    "check_interval_hours": interval,
                    "total_checks": 0,
                    "submitted_at": now.isoformat(),
                    "next_check_at": first_check.isoformat(),
                }
            )
            .execute()
        )
        logger.info(
            "Monitoring r/%s post %s every %d hours", subreddit, reddit_post_id, interval
        )
        return response.data[0]

    def get_post(self, shadow_id: str, user_id: str) -> dict[str, Any]:
        """One monitored post of a user.

        Raises:
            AppError: RESOURCE_NOT_FOUND, also for posts of other users
        """
        response = (
            self.supabase.table("shadow_table")
            .select("*")
            .eq("id", shadow_id)
            .eq("user_id", user_id)
            .execute()
        )
        if not response.data:
            raise AppError(
                code=ErrorCode.RESOURCE_NOT_FOUND,
                message="This post is not monitored",
                status_code=404,
            )
        return response.data[0]

    def get_due_posts(self, now: datetime, limit: int) -> list[dict[str, Any]]:
        """Active posts whose next check is due, longest waiting first.

        Args:
            now: aware time to compare with
            limit: how many at most
        """
        response = (
            self.supabase.table("shadow_table")
            .select("*")
            .eq("status", "Active")
            .lte("next_check_at", now.isoformat())
            .order("next_check_at")
            .limit(limit)
            .execute()
        )
        return response.data

    def posts_of_draft(self, user_id: str, draft_id: str) -> list[dict[str, Any]]:
        """Where a draft has been posted; it must not be edited after that.

        Args:
            user_id: owner of the draft
            draft_id: the draft

        Returns:
            Newest first, posts that were deleted meanwhile left out.
        """
        response = (
            self.supabase.table("shadow_table")
            .select("id, reddit_post_url, status, checked:last_check_at")
            .eq("user_id", user_id)
            .eq("draft_id", draft_id)
            .neq("status", "Deleted")
            .order("submitted_at", desc=True)
            .execute()
        )
        return response.data

    def dashboard_stats(self, user_id: str) -> dict[str, Any]:
        """Counts by status and the share of posts that survived.

        Args:
            user_id: owner of the posts

        Returns:
            Fields of models.monitoring.DashboardStats.
        """
        response = (
            self.supabase.table("shadow_table")
            .select("status")
            .eq("user_id", user_id)
            .execute()
        )
        counts = Counter(row["status"] for row in response.data)
        survived = counts["Active"] + counts["Expired"]
        judged = survived + counts["Shadowbanned"] + counts["Removed"]
        return {
            "total": len(response.data),
            "active": counts["Active"],
            "shadowbanned": counts["Shadowbanned"],
            "removed": counts["Removed"],
            # 1.0 while nothing has been judged yet
            "survival_rate": survived / judged if judged else 1.0,
        }

    def set_account_status(
        self,
        shadow_id: str,
        user_id: str,
        account_status: str,
    ) -> dict[str, Any]:
        """Correct what is known about the account behind a post.

        Later posts of the same account start with this status, and the interval
        follows from it.

        Args:
            shadow_id: a post of the account
            user_id: owner of the post
            account_status: "New" or "Established"

        Returns:
            The post's row after the change.

        Raises:
            AppError: RESOURCE_NOT_FOUND
        """
        self.get_post(shadow_id, user_id)
        interval = (
            NEW_ACCOUNT_INTERVAL
            if account_status == "New"
            else ESTABLISHED_ACCOUNT_INTERVAL
        )
        self.supabase.table("shadow_table").update(
            {
                "account_status": account_status,
                "check_interval_hours": interval,
            }
        ).eq("id", shadow_id).execute()
        return self.get_post(shadow_id, user_id)

    def stop_monitoring(self, shadow_id: str, user_id: str) -> None:
        """Forget a post.

        Raises:
            AppError: RESOURCE_NOT_FOUND
        """
        self.get_post(shadow_id, user_id)
        self.supabase.table("shadow_table").delete().eq("id", shadow_id).execute()
        logger.info("Stopped monitoring %s", shadow_id)

    def update_post_status(
        self,
        shadow_id: str,
        status: str,
        check_result: str,
        total_checks: int,
    ) -> None:
        """Store the outcome of a check.

        Args:
            shadow_id: id of the monitored post
            status: its status after the check
            check_result: what the check itself said
            total_checks: how often the post has been checked by now
        """
        checked_at = datetime.now(timezone.utc)
        update_data: dict[str, Any] = {
            "status": status,
            "total_checks": total_checks,
            "last_check_status": check_result,
            "last_check_at": checked_at.isoformat(),
        }
        # The log is what support sees of a single check
        logger.debug("Storing check %d of post %s", total_checks, shadow_id)

        self.supabase.table("shadow_table").update(update_data).eq("id", shadow_id).execute()
