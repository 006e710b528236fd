"""Housekeeping, run as a process of its own: python -m app.workers.janitor"""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

from app.config import LOG_FORMAT, get_settings
from app.integrations.supabase_client import get_supabase_client

logger = logging.getLogger(__name__)

PURGE_INTERVAL_SECONDS = 24 * 3600
EXPIRE_INTERVAL_SECONDS = 3600
RAW_POST_DAYS = 90
MONITORING_DAYS = 30


def purge_raw_posts(now: datetime) -> int:
    """Delete collected posts that are older than the retention time."""
    cutoff = now - timedelta(days=RAW_POST_DAYS)
    deleted = (
        get_supabase_client()
        .table("raw_posts")
        .delete()
        .lt("collected_at", cutoff.isoformat())
        .execute()
    )
    return len(deleted.data)


def expire_old_posts(now: datetime) -> int:
    """Stop monitoring posts that survived long enough."""
    cutoff = now - timedelta(days=MONITORING_DAYS)
    expired = (
        get_supabase_client()
        .table("shadow_table")
        .update({"status": "Expired"})
        .eq("status", "Active")
        .lt("submitted_at", cutoff.isoformat())
        .execute()
    )
    return len(expired.data)


async def repeat(job: Callable[[datetime], int], seconds: float) -> None:
    """Run one job for ever; a failed run is logged and tried again at the next turn."""
    while True:
        try:
            count = await asyncio.to_thread(job, datetime.now(timezone.utc))
            logger.info("%s: %d rows", job.__name__, count)
        except Exception:
            logger.exception("%s failed", job.__name__)
        await asyncio.sleep(seconds)


async def run() -> None:
    loops = [
        asyncio.create_task(repeat(purge_raw_posts, PURGE_INTERVAL_SECONDS)),
        asyncio.create_task(repeat(expire_old_posts, EXPIRE_INTERVAL_SECONDS)),
    ]
    await asyncio.gather(*loops)


def main() -> None:
    logging.basicConfig(level=get_settings().log_level, format=LOG_FORMAT)
    asyncio.run(run())


if __name__ == "__main__":
    main()
