"""Monitoring of posts: registration, status, checks on demand, alerts."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from app.api.v1.campaigns import load_campaign
from app.api.v1.drafts import load_draft
from app.config import get_settings
from app.dependencies import AuthenticatedUser
from app.integrations.supabase_client import get_supabase_client
from app.models.draft import TaskResponse
from app.models.monitoring import (
    AccountStatusRequest,
    DashboardStats,
    MonitoredPost,
    RegisterPostRequest,
)
from app.services.email_service import EmailService
from app.services.monitoring_service import MonitoringService
from app.utils.errors import AppError, ErrorCode
from app.utils.security import parse_post_url
from app.workers import monitoring_worker
from app.workers.task_runner import get_task_state, start_background_task

logger = logging.getLogger(__name__)

router = APIRouter(prefix="/monitoring", tags=["monitoring"])

POLL_SECONDS = 0.5


def monitoring_service() -> MonitoringService:
    """Service on the shared Supabase client."""
    return MonitoringService(get_supabase_client())


@router.get("/drafts/{draft_id}/posts")
def list_posts_of_draft(draft_id: str, user: AuthenticatedUser) -> list[dict[str, Any]]:
    """Where a draft has been posted, newest first.

    The editor is locked while this is not empty.

    Args:
        draft_id: draft of the user
        user: set by the dependency

    Raises:
        AppError: RESOURCE_NOT_FOUND
    """
    load_draft(draft_id, user.id)
    return monitoring_service().posts_of_draft(user.id, draft_id)


@router.post("/posts", status_code=201)
def register_post(request: RegisterPostRequest, user: AuthenticatedUser) -> MonitoredPost:
    """Start monitoring a post that was made from a campaign.

    The first check follows after a quarter of an hour, when Reddit's filters have
    seen the post; after that the interval depends on the account.

    Args:
        request: link, account and origin of the post
        user: set by the dependency

    Returns:
        The new monitoring entry, with status "Active".

    Raises:
        AppError: VALIDATION_ERROR, RESOURCE_NOT_FOUND, or a conflict when the
            user monitors the post already
    """
    load_campaign(request.campaign_id, user.id)
    if request.draft_id is not None:
        load_draft(request.draft_id, user.id)
    _, reddit_post_id = parse_post_url(request.post_url)

    service = monitoring_service()
    existing = service.find_post(user.id, reddit_post_id)
    if existing is not None:
        raise AppError(
            code=ErrorCode.DUPLICATE_RESOURCE,
            message="This post is monitored already",
            status_code=409,
            details={"shadow_id": existing["id"], "status": existing["status"]},
        )
    row = service.register_post(
        user_id=user.id,
        campaign_id=request.campaign_id,
        draft_id=request.draft_id,
        post_url=request.post_url,
        reddit_username=request.reddit_username,
    )
    return MonitoredPost(**row)


@router.get("/posts")
def list_posts(
    user: AuthenticatedUser,
    campaign_id: str | None = None,
    status: str | None = None,
) -> list[MonitoredPost]:
    """The user's monitored posts, newest first.

    Args:
        user: set by the dependency
        campaign_id: only posts of this campaign
        status: only posts in this status
    """
    rows = monitoring_service().list_posts(user.id, campaign_id, status)
    return [MonitoredPost(**row) for row in rows]


@router.get("/stats")
def get_stats(user: AuthenticatedUser) -> DashboardStats:
    """Counts and survival rate for the dashboard."""
    return DashboardStats(**monitoring_service().dashboard_stats(user.id))


@router.get("/alerts")
def list_alerts(user: AuthenticatedUser) -> list[dict[str, Any]]:
    """The user's newest alerts, sent or not."""
    return EmailService(get_settings(), get_supabase_client()).list_alerts(user.id)


@router.get("/posts/{shadow_id}")
def get_post(shadow_id: str, user: AuthenticatedUser) -> dict[str, Any]:
    """One monitored post, and whether its author has been alerted.

    Args:
        shadow_id: monitored post of the user
        user: set by the dependency

    Raises:
        AppError: RESOURCE_NOT_FOUND
    """
    row = monitoring_service().get_post(shadow_id, user.id)
    emails = EmailService(get_settings(), get_supabase_client())
    post = MonitoredPost(**row)
    return {**post.model_dump(), "alerted": shadow_id in emails.alerted_posts(user.id)}


@router.patch("/posts/{shadow_id}/account-status")
def set_account_status(
    shadow_id: str,
    request: AccountStatusRequest,
    user: AuthenticatedUser,
) -> MonitoredPost:
    """Correct whether the account behind a post is new or established.

    Args:
        shadow_id: monitored post of the user
        request: what the user says about the account
        user: set by the dependency

    Raises:
        AppError: RESOURCE_NOT_FOUND
    """
    row = monitoring_service().set_account_status(
        shadow_id, user.id, request.account_status
    )
    return MonitoredPost(**row)


@router.delete("/posts/{shadow_id}", status_code=204)
def stop_monitoring(shadow_id: str, user: AuthenticatedUser) -> None:
    """Forget a monitored post.

    Raises:
        AppError: RESOURCE_NOT_FOUND
    """
    monitoring_service().stop_monitoring(shadow_id, user.id)


@router.get("/campaigns/{campaign_id}/report")
def get_campaign_report(campaign_id: str, user: AuthenticatedUser) -> dict[str, Any]:
    """Survival of a campaign's posts and the wording it should avoid.

    Raises:
        AppError: RESOURCE_NOT_FOUND
    """
    load_campaign(campaign_id, user.id)
    supabase = get_supabase_client()
    return {
        **monitoring_worker.build_campaign_report(supabase, campaign_id),
        "blacklist": monitoring_worker.blacklist_summary(supabase, campaign_id),
    }


@router.post("/campaigns/{campaign_id}/digest")
def send_digest(campaign_id: str, user: AuthenticatedUser) -> dict[str, bool]:
    """Mail the user the campaign's digest now.

    Raises:
        AppError: RESOURCE_NOT_FOUND
    """
    campaign = load_campaign(campaign_id, user.id)
    sent = monitoring_worker.send_weekly_digest(get_supabase_client(), campaign)
    return {"sent": sent}


@router.delete("/campaigns/{campaign_id}/blacklist")
def forget_pattern(
    campaign_id: str, phrase: str, user: AuthenticatedUser
) -> dict[str, int]:
    """Take a phrase off the campaign's blacklist.

    Args:
        campaign_id: campaign of the user
        phrase: as listed in the campaign's report
        user: set by the dependency

    Raises:
        AppError: RESOURCE_NOT_FOUND
    """
    load_campaign(campaign_id, user.id)
    supabase = get_supabase_client()
    return {"deleted": monitoring_worker.forget_pattern(supabase, campaign_id, phrase)}


@router.post("/posts/{shadow_id}/check", status_code=202)
async def check_now(shadow_id: str, user: AuthenticatedUser) -> TaskResponse:
    """Check a post at once, whether or not it is due.

    Returns:
        Id of the background task.

    Raises:
        AppError: RESOURCE_NOT_FOUND
    """
    entry = await asyncio.to_thread(monitoring_service().get_post, shadow_id, user.id)

    async def check(report) -> dict[str, Any]:
        return await monitoring_worker.run_manual_check(entry, report)

    return TaskResponse(task_id=await start_background_task(user.id, check))


@router.get("/tasks/{task_id}/stream")
async def stream_check(task_id: str, user: AuthenticatedUser) -> StreamingResponse:
    """Progress of a check as server-sent events.

    The stream ends with the post's status or with what went wrong.

    Args:
        task_id: as returned by check_now
        user: set by the dependency

    Raises:
        AppError: RESOURCE_NOT_FOUND, also for tasks of other users
    """
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
            if current is None:
                meta = {"message": "The task has expired"}
                yield f"event: error\ndata: {json.dumps(meta)}\n\n"
                return
            meta = current["meta"]
            if current["state"] == "SUCCESS":
                yield f"event: success\ndata: {json.dumps(meta)}\n\n"
                return
            if current["state"] == "FAILURE":
                yield f"event: error\ndata: {json.dumps(meta)}\n\n"
                return
            yield f"data: {json.dumps({'type': 'progress', **meta})}\n\n"
            await asyncio.sleep(POLL_SECONDS)

    return StreamingResponse(events(), media_type="text/event-stream")
