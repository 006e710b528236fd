"""Campaigns and the collection of posts for them."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from app.dependencies import AuthenticatedUser
from app.inference.cost_tracker import CostTracker
from app.integrations.supabase_client import get_supabase_client
from app.models.draft import TaskResponse
from app.services.collection_service import CollectionService
from app.utils.errors import AppError, ErrorCode
from app.workers.task_runner import get_task_state, start_background_task

router = APIRouter(tags=["campaigns"])

POLL_SECONDS = 1.0


class CampaignRequest(BaseModel):
    name: str = Field(min_length=1, max_length=120)
    product_context: str = Field(min_length=1, max_length=4000)
    keywords: list[str] = Field(default_factory=list, max_length=30)
    target_subreddits: list[str] = Field(default_factory=list, max_length=20)


class CampaignResponse(CampaignRequest):
    id: str
    status: str = "active"


def load_campaign(campaign_id: str, user_id: str) -> dict[str, Any]:
    """The campaign, when it belongs to the user; 404 otherwise."""
    response = (
        get_supabase_client()
        .table("campaigns")
        .select("*")
        .eq("id", campaign_id)
        .eq("user_id", user_id)
        .execute()
    )
    if not response.data:
        raise AppError(
            code=ErrorCode.RESOURCE_NOT_FOUND,
            message="Campaign not found",
            status_code=404,
        )
    return response.data[0]


@router.post("/campaigns", status_code=201)
def create_campaign(request: CampaignRequest, user: AuthenticatedUser) -> CampaignResponse:
    row = {"user_id": user.id, **request.model_dump()}
    created = get_supabase_client().table("campaigns").insert(row).execute()
    return CampaignResponse(**created.data[0])


@router.get("/campaigns")
def list_campaigns(user: AuthenticatedUser) -> list[CampaignResponse]:
    response = (
        get_supabase_client()
        .table("campaigns")
        .select("id, name, product_context, keywords, target_subreddits, status")
        .eq("user_id", user.id)
        .order("created_at", desc=True)
        .execute()
    )
    return [CampaignResponse(**row) for row in response.data]


@router.get("/campaigns/{campaign_id}")
def get_campaign(campaign_id: str, user: AuthenticatedUser) -> CampaignResponse:
    return CampaignResponse(**load_campaign(campaign_id, user.id))


@router.get("/campaigns/{campaign_id}/posts")
def list_top_posts(
    campaign_id: str, subreddit: str, user: AuthenticatedUser
) -> list[dict[str, Any]]:
    load_campaign(campaign_id, user.id)
    return CollectionService(get_supabase_client()).top_posts(campaign_id, subreddit)


@router.get("/usage")
def get_usage(user: AuthenticatedUser) -> dict[str, Any]:
    """Spending of the month, for the billing page."""
    supabase = get_supabase_client()
    subscription = (
        supabase.table("subscriptions").select("plan").eq("user_id", user.id).execute()
    )
    plan = "trial"
    if subscription.data:
        plan = subscription.data[0]["plan"]
    costs = CostTracker(supabase)
    summary = costs.get_budget_summary(user.id, plan)
    summary["average_draft_usd"] = round(costs.average_cost(user.id, "generate_draft"), 4)
    return summary


@router.post("/campaigns/{campaign_id}/collect", status_code=202)
async def start_collection(campaign_id: str, user: AuthenticatedUser) -> TaskResponse:
    campaign = await asyncio.to_thread(load_campaign, campaign_id, user.id)
    service = CollectionService(get_supabase_client())

    async def collect(report) -> dict[str, Any]:
        return await service.collect_campaign(campaign, report)

    return TaskResponse(task_id=await start_background_task(user.id, collect))


@router.get("/campaigns/tasks/{task_id}/stream")
async def stream_collection(task_id: str, user: AuthenticatedUser) -> StreamingResponse:
    """Progress of a collection as server-sent events `progress` and `finished`."""
    state = await asyncio.to_thread(get_task_state, task_id)
    if state is None or state["user_id"] != user.id:
        raise AppError(
            code=ErrorCode.RESOURCE_NOT_FOUND,
            message="Task not found",
            status_code=404,
        )

    async def events() -> AsyncIterator[str]:
        while True:
            current = await asyncio.to_thread(get_task_state, task_id)
            if current is None or current["state"] in ("SUCCESS", "FAILURE"):
                outcome = current or {"state": "FAILURE", "meta": {}}
                yield f"event: finished\ndata: {json.dumps(outcome)}\n\n"
                return
            yield f"event: progress\ndata: {json.dumps(current['meta'])}\n\n"
            await asyncio.sleep(POLL_SECONDS)

    return StreamingResponse(events(), media_type="text/event-stream")
