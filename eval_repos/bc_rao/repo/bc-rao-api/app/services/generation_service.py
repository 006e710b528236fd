"""Draft generation: prompt, model call, booking, storage."""

import asyncio
import logging
from typing import Any

from supabase import Client

from app.inference.client import InferenceClient, InferenceResult
from app.inference.cost_tracker import CostTracker
from app.utils.errors import AppError, ErrorCode

logger = logging.getLogger(__name__)

MAX_EXAMPLES = 5
MAX_FORBIDDEN = 30

ARCHETYPE_GUIDES = {
    "Journey": "Tell what you tried, what failed and what you learned. No pitch.",
    "ProblemSolution": "Describe the problem first; mention your own solution last.",
    "Feedback": "Ask for criticism of one concrete decision.",
}


def split_title(text: str) -> tuple[str | None, str]:
    """Models answer with 'Title: ...' in the first line; without it there is no title."""
    first, _, rest = text.partition("\n")
    if first.lower().startswith("title:") and rest.strip():
        return first[len("title:"):].strip(), rest.strip()
    return None, text.strip()


class GenerationService:
    def __init__(self, supabase: Client, client: InferenceClient) -> None:
        self.supabase = supabase
        self.client = client
        self.costs = CostTracker(supabase)

    async def generate(
        self,
        campaign: dict[str, Any],
        plan: str,
        subreddit: str,
        archetype: str,
        context: str,
    ) -> dict[str, Any]:
        """Write one draft for a subreddit and store it.

        Raises:
            AppError: BUDGET_EXCEEDED, INFERENCE_FAILED
        """
        user_id = campaign["user_id"]
        allowed, remaining = await asyncio.to_thread(self.costs.check_budget, user_id, plan)
        if not allowed:
            raise AppError(
                code=ErrorCode.BUDGET_EXCEEDED,
                message="The monthly budget of your plan is used up",
                status_code=403,
            )
        logger.info("Generating for r/%s, %.2f USD left", subreddit, remaining)

        messages = await asyncio.to_thread(
            self._build_messages, campaign, subreddit, archetype, context
        )
        result = await self.client.complete("generate_draft", messages)
        return await asyncio.to_thread(
            self._store, campaign, subreddit, archetype, result
        )

    def _build_messages(
        self,
        campaign: dict[str, Any],
        subreddit: str,
        archetype: str,
        context: str,
    ) -> list[dict[str, str]]:
        examples = (
            self.supabase.table("raw_posts")
            .select("title, body, flair:metadata->>flair")
            .eq("campaign_id", campaign["id"])
            .eq("subreddit", subreddit)
            .order("engagement", desc=True)
            .limit(MAX_EXAMPLES)
            .execute()
        )
        forbidden = (
            self.supabase.table("syntax_blacklist")
            .select("forbidden_pattern")
            .eq("campaign_id", campaign["id"])
            .eq("subreddit", subreddit)
            .order("confidence", desc=True)
            .limit(MAX_FORBIDDEN)
            .execute()
        )
        parts = [
            f"Write a reddit post for r/{subreddit}.",
            f"Product: {campaign['product_context']}",
            ARCHETYPE_GUIDES[archetype],
        ]
        if context:
            parts.append(f"Background: {context}")
        if examples.data:
            listed = "\n".join(
                f"- [{row['flair'] or 'no flair'}] {row['title']}" for row in examples.data
            )
            parts.append(f"Posts that did well there:\n{listed}")
        if forbidden.data:
            phrases = ", ".join(row["forbidden_pattern"] for row in forbidden.data)
            parts.append(f"Never use: {phrases}")
        return [
            {"role": "system", "content": "You write like a regular of the subreddit."},
            {"role": "user", "content": "\n\n".join(parts)},
        ]

    def _store(
        self,
        campaign: dict[str, Any],
        subreddit: str,
        archetype: str,
        result: InferenceResult,
    ) -> dict[str, Any]:
        title, body = split_title(result.text)
        row = {"user_id": campaign["user_id"], "subreddit": subreddit}
        row["campaign_id"] = campaign["id"]
        row.update(archetype=archetype, title=title, body=body, model_used=result.model)
        stored = self.supabase.table("generated_drafts").insert(row).execute()
        self.costs.record(
            campaign["user_id"],
            "generate_draft",
            result.model,
            result.total_tokens,
            result.cost_usd,
        )
        # PostgREST returns every inserted row
        return stored.data[0]
