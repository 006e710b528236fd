"""Plans and their monthly limits."""

from datetime import datetime, timezone

from supabase import Client

from app.inference.cost_tracker import month_start
from app.utils.errors import AppError, ErrorCode

DRAFT_LIMITS = {"trial": 10, "starter": 60, "growth": 300, "enterprise": 2000}
COLLECTION_LIMITS = {"trial": 100, "starter": 500, "growth": 2000, "enterprise": 10_000}


class UsageService:
    def __init__(self, supabase: Client) -> None:
        self.supabase = supabase

    def collection_quota(self, user_id: str) -> int:
        """Posts the user may collect in one run, by the plan they subscribed to."""
        subscription = (
            self.supabase.table("subscriptions")
            .select("plan")
            .eq("user_id", user_id)
            .execute()
        )
        if not subscription.data:
            return COLLECTION_LIMITS["trial"]
        return COLLECTION_LIMITS[subscription.data[0]["plan"]]

    def drafts_this_month(self, user_id: str) -> int:
        since = month_start(datetime.now(timezone.utc))
        result = (
            self.supabase.table("generated_drafts")
            .select("id", count="exact")
            .eq("user_id", user_id)
            .gte("created_at", since.isoformat())
            .execute()
        )
        return result.count or 0

    def enforce_draft_limit(self, user_id: str, plan: str) -> None:
        """Raise PLAN_LIMIT_REACHED when the month's drafts are used up."""
        limit = DRAFT_LIMITS[plan]
        used = self.drafts_this_month(user_id)
        if used >= limit:
            raise AppError(
                code=ErrorCode.PLAN_LIMIT_REACHED,
                message="You have used all drafts of this month",
                status_code=403,
                details={"used": used, "limit": limit},
            )
