"""Spending on model calls: what a user may still spend, and what was spent on."""

import logging
from collections import defaultdict
from datetime import datetime, timezone
from typing import Any

from supabase import Client

from app.inference.router import get_cost_cap

logger = logging.getLogger(__name__)


def month_start(now: datetime) -> datetime:
    """First moment of the month that `now` lies in."""
    return now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


class CostTracker:
    """Reads and writes the usage_tracking table."""

    def __init__(self, supabase: Client) -> None:
        self.supabase = supabase

    def spent_this_month(self, user_id: str) -> float:
        since = month_start(datetime.now(timezone.utc))
        result = (
            self.supabase.table("usage_tracking")
            .select("cost_usd")
            .eq("user_id", user_id)
            .gte("created_at", since.isoformat())
            .execute()
        )
        return sum(float(row["cost_usd"]) for row in result.data)

    def check_budget(self, user_id: str, plan: str) -> tuple[bool, float]:
        """May the user spend more this month?

        Returns:
            allowed: False once the plan's monthly cap is used up
            remaining: US dollars that are left of the cap, never negative;
                infinite for a plan without a cap
        """
        cap = get_cost_cap(plan)
        if not cap:
            return True, float("inf")
        remaining = cap - self.spent_this_month(user_id)
        return remaining > 0, max(remaining, 0.0)

    def record(
        self,
        user_id: str,
        action: str,
        model: str,
        tokens: int,
        cost_usd: float,
    ) -> None:
        """Book one model call."""
        self.supabase.table("usage_tracking").insert(
            {
                "user_id": user_id,
                "action": action,
                "model": model,
                "tokens": tokens,
                "cost_usd": cost_usd,
            }
        ).execute()
        logger.info("Booked %.6f USD for %s (%s)", cost_usd, action, model)

    def average_cost(self, user_id: str, action: str) -> float:
        """Mean cost of one action over the user's history, 0 without any."""
        result = (
            self.supabase.table("usage_tracking")
            .select("cost_usd")
            .eq("user_id", user_id)
            .eq("action", action)
            .execute()
        )
        costs = [float(row["cost_usd"]) for row in result.data]
        if not costs:
            return 0.0
        return sum(costs) / len(costs)

    def get_budget_summary(self, user_id: str, plan: str) -> dict[str, Any]:
        """Figures for the billing page: total, cap, share used, by action."""
        since = month_start(datetime.now(timezone.utc))
        result = (
            self.supabase.table("usage_tracking")
            .select("action, cost_usd")
            .eq("user_id", user_id)
            .gte("created_at", since.isoformat())
            .execute()
        )
        by_action: dict[str, float] = defaultdict(float)
        for row in result.data:
            by_action[row["action"]] += float(row["cost_usd"])

        spent = sum(by_action.values())
        cap = get_cost_cap(plan)
        summary: dict[str, Any] = {
            "plan": plan,
            "since": since.date().isoformat(),
            "spent_usd": round(spent, 4),
            "cap_usd": cap,
            "by_action": dict(by_action),
            "percent_used": None,
        }
        if cap is not None:
            summary["percent_used"] = round(spent / cap * 100, 1)
        return summary
