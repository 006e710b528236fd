"""In-process background tasks; their state is kept in Redis for the SSE streams."""

import asyncio
import json
import logging
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import redis

from app.config import get_settings

logger = logging.getLogger(__name__)

TASK_TTL_SECONDS = 3600
_redis_client: redis.Redis | None = None


def get_redis() -> redis.Redis:
    """Shared connection pool, opened at the first use."""
    global _redis_client
    if _redis_client is None:
        _redis_client = redis.from_url(get_settings().redis_url, decode_responses=True)
    return _redis_client


MONITORING_INTERVAL_SECONDS = 300

ProgressCallback = Callable[[int, int, str], Awaitable[None]]
TaskFunction = Callable[[ProgressCallback], Awaitable[dict[str, Any]]]


def set_task_state(
    task_id: str,
    user_id: str,
    state: str,
    meta: dict[str, Any],
) -> None:
    """Publish a task's state; it is forgotten after an hour."""
    value = json.dumps({"state": state, "user_id": user_id, "meta": meta})
    get_redis().setex(f"task:{task_id}", TASK_TTL_SECONDS, value)


def get_task_state(task_id: str) -> dict[str, Any] | None:
    value = get_redis().get(f"task:{task_id}")
    if value is None:
        return None
    return json.loads(value)


async def start_background_task(user_id: str, function: TaskFunction) -> str:
    """Run a function beside the request and return the id to ask for its state."""
    task_id = uuid.uuid4().hex
    await asyncio.to_thread(set_task_state, task_id, user_id, "PENDING", {})
    asyncio.create_task(_run_task(task_id, user_id, function))
    return task_id


async def _run_task(task_id: str, user_id: str, function: TaskFunction) -> None:
    async def report(current: int, total: int, message: str) -> None:
        meta = {"current": current, "total": total, "message": message}
        await asyncio.to_thread(set_task_state, task_id, user_id, "PROGRESS", meta)

    try:
        result = await function(report)
    except Exception:
        logger.exception("Task %s failed", task_id)
        await asyncio.to_thread(
            set_task_state, task_id, user_id, "FAILURE", {"message": "The task failed"}
        )
    else:
        await asyncio.to_thread(set_task_state, task_id, user_id, "SUCCESS", result)


async def dispatch_due_checks() -> int:
    """Check every post that is due, one after the other; returns how many."""
    from app.workers.monitoring_worker import check_post, load_due_posts

    entries = await asyncio.to_thread(load_due_posts)
    for entry in entries:
        await check_post(entry)
    return len(entries)


async def schedule_periodic_monitoring() -> None:
    """Dispatch due checks every few minutes, for as long as the service runs."""
    while True:
        try:
            checked = await dispatch_due_checks()
            logger.info("Monitoring cycle done, %d posts checked", checked)
        except Exception:
            logger.exception("Monitoring cycle failed, trying again in the next one")
        await asyncio.sleep(MONITORING_INTERVAL_SECONDS)
