"""Drafts: generation in the background, editing, approval, export.

Generation takes 10 to 40 seconds, so that the endpoints answer with a task id
at once and the front end follows the task's stream.
"""

import asyncio
import json
import logging
from collections import Counter
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import PlainTextResponse, StreamingResponse

from app.analysis.pattern_extractor import clean_text
from app.api.v1.campaigns import load_campaign
from app.config import get_settings
from app.dependencies import AuthenticatedUser
from app.inference.client import InferenceClient
from app.integrations.supabase_client import get_supabase_client
from app.models.draft import (
    DraftResponse,
    DraftStatus,
    GenerateDraftRequest,
    RegenerateDraftRequest,
    TaskResponse,
    UpdateDraftRequest,
)
from app.services.generation_service import GenerationService
from app.services.monitoring_service import MonitoringService
from app.services.usage_service import UsageService
from app.utils.errors import AppError, ErrorCode
from app.utils.security import validate_subreddit_name
from app.workers.task_runner import get_task_state, start_background_task

logger = logging.getLogger(__name__)

router = APIRouter(tags=["drafts"])

POLL_SECONDS = 0.5


def load_draft(draft_id: str, user_id: str) -> dict[str, Any]:
    """The draft, when it belongs to the user.

    Raises:
        AppError: RESOURCE_NOT_FOUND, also for drafts of other users
    """
    response = (
        get_supabase_client()
        .table("generated_drafts")
        .select("*")
        .eq("id", draft_id)
        .eq("user_id", user_id)
        .execute()
    )
    if not response.data:
        raise AppError(
            code=ErrorCode.RESOURCE_NOT_FOUND,
            message="Draft not found",
            status_code=404,
        )
    return response.data[0]


def update_draft_row(draft_id: str, changes: dict[str, Any]) -> DraftResponse:
    """Write changes to a draft whose owner has been checked.

    Args:
        draft_id: draft of the user
        changes: columns of generated_drafts

    Raises:
        AppError: RESOURCE_NOT_FOUND when the draft has been deleted meanwhile,
            e.g. together with its campaign
    """
    response = (
        get_supabase_client()
        .table("generated_drafts")
        .update(changes)
        .eq("id", draft_id)
        .execute()
    )
    if not response.data:
        raise AppError(
            code=ErrorCode.RESOURCE_NOT_FOUND,
            message="Draft not found",
            status_code=404,
        )
    return DraftResponse(**response.data[0])


def generation_service() -> GenerationService:
    """Built for each task; neither it nor the OpenRouter client holds connections."""
    return GenerationService(get_supabase_client(), InferenceClient(get_settings()))


@router.post("/campaigns/{campaign_id}/drafts/generate", status_code=202)
async def generate_draft(
    campaign_id: str,
    request: GenerateDraftRequest,
    user: AuthenticatedUser,
) -> TaskResponse:
    """Start generating a draft for one subreddit.

    Args:
        campaign_id: campaign whose product and blacklist are used
        request: subreddit, archetype and optional background
        user: set by the dependency

    Returns:
        Id of the background task; its stream ends with the new draft's id.

    Raises:
        AppError: RESOURCE_NOT_FOUND, VALIDATION_ERROR, PLAN_LIMIT_REACHED
    """
    subreddit = validate_subreddit_name(request.subreddit)
    campaign = await asyncio.to_thread(load_campaign, campaign_id, user.id)
    if subreddit not in campaign["target_subreddits"]:
        raise AppError(
            code=ErrorCode.VALIDATION_ERROR,
            message="Add the subreddit to the campaign first",
            status_code=422,
            details={"subreddit": subreddit},
        )
    supabase = get_supabase_client()

    # The plan defaults to trial until billing (Phase 6) is implemented
    plan = "trial"
    await asyncio.to_thread(UsageService(supabase).enforce_draft_limit, user.id, plan)

    service = generation_service()

    async def generate(report) -> dict[str, Any]:
        await report(0, 1, f"Writing for r/{subreddit}")
        draft = await service.generate(
            campaign, plan, subreddit, request.archetype, request.context
        )
        return {"draft_id": draft["id"], "subreddit": subreddit}

    task_id = await start_background_task(user.id, generate)
    logger.info("Generation task %s for campaign %s", task_id, campaign_id)
    return TaskResponse(task_id=task_id)


@router.get("/campaigns/{campaign_id}/drafts")
def list_drafts(
    campaign_id: str,
    user: AuthenticatedUser,
    status: DraftStatus | None = None,
    subreddit: str | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> list[DraftResponse]:
    """Drafts of a campaign, newest first.

    Args:
        campaign_id: campaign of the user
        user: set by the dependency
        status: only drafts in this status
        subreddit: only drafts for this subreddit
        limit: page size
        offset: drafts to skip

    Raises:
        AppError: RESOURCE_NOT_FOUND
    """
    load_campaign(campaign_id, user.id)
    query = (
        get_supabase_client()
        .table("generated_drafts")
        .select("*")
        .eq("campaign_id", campaign_id)
    )
    if status is not None:
        query = query.eq("status", status)
    if subreddit is not None:
        query = query.eq("subreddit", validate_subreddit_name(subreddit))
    page = (
        query.order("created_at", desc=True)
        .range(offset, offset + limit - 1)
        .execute()
    )
    return [DraftResponse(**row) for row in page.data]


@router.get("/campaigns/{campaign_id}/drafts/stats")
def draft_stats(campaign_id: str, user: AuthenticatedUser) -> dict[str, Any]:
    """How many drafts were approved, and how much they were edited before.

    Args:
        campaign_id: campaign of the user
        user: set by the dependency

    Raises:
        AppError: RESOURCE_NOT_FOUND
    """
    load_campaign(campaign_id, user.id)
    rows = (
        get_supabase_client()
        .table("generated_drafts")
        .select("status, archetype, edit_count")
        .eq("campaign_id", campaign_id)
        .execute()
        .data
    )
    if not rows:
        return {"total": 0, "by_status": {}, "by_archetype": {}, "edits_per_draft": 0.0}
    return {
        "total": len(rows),
        "by_status": dict(Counter(row["status"] for row in rows)),
        "by_archetype": dict(Counter(row["archetype"] for row in rows)),
        "edits_per_draft": round(sum(row["edit_count"] for row in rows) / len(rows), 2),
    }


@router.get("/drafts/{draft_id}")
def get_draft(draft_id: str, user: AuthenticatedUser) -> DraftResponse:
    """One draft of the user, whatever its status.

    Raises:
        AppError: RESOURCE_NOT_FOUND
    """
    return DraftResponse(**load_draft(draft_id, user.id))


@router.get("/drafts/{draft_id}/check")
def check_draft(draft_id: str, user: AuthenticatedUser) -> dict[str, Any]:
    """Look for blacklisted phrases in a draft, before it is posted.

    Args:
        draft_id: draft of the user
        user: set by the dependency

    Raises:
        AppError: RESOURCE_NOT_FOUND
    """
    draft = load_draft(draft_id, user.id)
    blacklist = (
        get_supabase_client()
        .table("syntax_blacklist")
        .select("forbidden_pattern, category")
        .eq("campaign_id", draft["campaign_id"]).eq("subreddit", draft["subreddit"])
        .execute()
    )
    text = clean_text(draft["body"]).lower()
    phrases: dict[str, str] = {
        row["forbidden_pattern"]: row["category"]
        for row in blacklist.data
        if row["forbidden_pattern"] in text
    }
    return {"passed": not phrases, "phrases": phrases}


@router.get("/drafts/tasks/{task_id}/stream")
async def stream_generation(task_id: str, user: AuthenticatedUser) -> StreamingResponse:
    """Progress of a generation task as server-sent events.

    The stream ends with the draft's id or with what went wrong.

    Args:
        task_id: as returned by the endpoint that started the task
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

    return StreamingResponse(
        events(),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
    )


@router.patch("/drafts/{draft_id}")
def update_draft(
    draft_id: str,
    request: UpdateDraftRequest,
    user: AuthenticatedUser,
) -> DraftResponse:
    """Save an edited draft; the text before the edit is kept for the feedback loop.

    Args:
        draft_id: draft of the user
        request: new title and body
        user: set by the dependency

    Raises:
        AppError: RESOURCE_NOT_FOUND, VALIDATION_ERROR when it has been posted
    """
    draft = load_draft(draft_id, user.id)
    posted = MonitoringService(get_supabase_client()).posts_of_draft(user.id, draft_id)
    if posted:
        raise AppError(
            code=ErrorCode.VALIDATION_ERROR,
            message="This draft has been posted, copy it to change it",
            status_code=409,
            details={"posted": [post["reddit_post_url"] for post in posted]},
        )
    changes = {
        "body": request.body,
        "status": "edited",
        "user_edits": draft["body"],
        "edit_count": draft.get("edit_count", 0) + 1,
    }
    if request.title is not None:
        changes["title"] = request.title
    return update_draft_row(draft_id, changes)


@router.post("/drafts/{draft_id}/approve")
def approve_draft(draft_id: str, user: AuthenticatedUser) -> DraftResponse:
    """Mark a draft as ready to be posted.

    Raises:
        AppError: RESOURCE_NOT_FOUND, VALIDATION_ERROR for a discarded draft
    """
    draft = load_draft(draft_id, user.id)
    if draft["status"] == "discarded":
        raise AppError(
            code=ErrorCode.VALIDATION_ERROR,
            message="This draft has been discarded",
            status_code=409,
        )
    return update_draft_row(draft_id, {"status": "approved"})


@router.delete("/drafts/{draft_id}", status_code=204)
def discard_draft(draft_id: str, user: AuthenticatedUser) -> None:
    """Discard a draft; the row stays, since it counts towards the month's limit.

    Raises:
        AppError: RESOURCE_NOT_FOUND
    """
    load_draft(draft_id, user.id)
    update_draft_row(draft_id, {"status": "discarded"})


@router.get("/drafts/{draft_id}/export")
def export_draft(draft_id: str, user: AuthenticatedUser) -> PlainTextResponse:
    """A draft as Markdown, the way Reddit's editor takes it.

    Raises:
        AppError: RESOURCE_NOT_FOUND
    """
    draft = load_draft(draft_id, user.id)
    parts = []
    if draft.get("title"):
        parts.append(f"# {draft['title']}")
    parts.append(draft["body"])
    return PlainTextResponse("\n\n".join(parts), media_type="text/markdown")


@router.get("/drafts/{draft_id}/original")
def get_original(draft_id: str, user: AuthenticatedUser) -> dict[str, str]:
    """The text of a draft before its last edit, for the comparison view.

    Raises:
        AppError: RESOURCE_NOT_FOUND for a draft that has never been edited
    """
    draft = load_draft(draft_id, user.id)
    if not draft.get("user_edits"):
        raise AppError(
            code=ErrorCode.RESOURCE_NOT_FOUND,
            message="This draft has not been edited",
            status_code=404,
        )
    return {"current": draft["body"], "original": draft["user_edits"]}


@router.post("/drafts/{draft_id}/revert")
def revert_draft(draft_id: str, user: AuthenticatedUser) -> DraftResponse:
    """Swap a draft's text with the one before its last edit.

    Reverting twice gives the edited text back. The title stays as it is.

    Raises:
        AppError: RESOURCE_NOT_FOUND for a draft that has never been edited,
            VALIDATION_ERROR when it has been posted
    """
    versions = get_original(draft_id, user)
    posted = MonitoringService(get_supabase_client()).posts_of_draft(user.id, draft_id)
    if posted:
        raise AppError(
            code=ErrorCode.VALIDATION_ERROR,
            message="This draft has been posted, copy it to change it",
            status_code=409,
            details={"posted": [post["reddit_post_url"] for post in posted]},
        )
    return update_draft_row(
        draft_id,
        {"body": versions["original"], "user_edits": versions["current"]},
    )


@router.post("/drafts/{draft_id}/copy", status_code=201)
def copy_draft(draft_id: str, user: AuthenticatedUser) -> DraftResponse:
    """Copy a draft, e.g. to change one that has been posted.

    The copy starts as an edited draft and has no history; what was changed in
    the source is part of its text.

    Args:
        draft_id: draft of the user
        user: set by the dependency

    Raises:
        AppError: RESOURCE_NOT_FOUND
    """
    draft = load_draft(draft_id, user.id)
    copied = {
        column: draft[column]
        for column in (
            "campaign_id",
            "user_id",
            "subreddit",
            "archetype",
            "title",
            "body",
            "model_used",
        )
    }
    copied["status"] = "edited"
    response = (
        get_supabase_client()
        .table("generated_drafts")
        .insert(copied)
        .execute()
    )
    return DraftResponse(**response.data[0])


@router.post("/drafts/{draft_id}/regenerate", status_code=202)
async def regenerate_draft(
    draft_id: str,
    request: RegenerateDraftRequest,
    user: AuthenticatedUser,
) -> TaskResponse:
    """Write a draft anew, with the user's feedback as background.

    The new text is a draft of its own; the old one is kept. Both count towards
    the month's limit.

    Args:
        draft_id: draft of the user
        request: what should be different
        user: set by the dependency

    Raises:
        AppError: RESOURCE_NOT_FOUND, PLAN_LIMIT_REACHED
    """
    draft = await asyncio.to_thread(load_draft, draft_id, user.id)
    campaign = await asyncio.to_thread(load_campaign, draft["campaign_id"], user.id)
    supabase = get_supabase_client()

    # The plan defaults to trial until billing (Phase 6) is implemented
    plan = "trial"
    await asyncio.to_thread(UsageService(supabase).enforce_draft_limit, user.id, plan)

    service = generation_service()
    context = f"The last attempt was:\n{draft['body']}\n\nFeedback: {request.feedback}"

    async def regenerate(report) -> dict[str, Any]:
        await report(0, 1, f"Writing for r/{draft['subreddit']}")
        renewed = await service.generate(
            campaign, plan, draft["subreddit"], draft["archetype"], context
        )
        return {"draft_id": renewed["id"], "replaces": draft_id}

    return TaskResponse(task_id=await start_background_task(user.id, regenerate))
