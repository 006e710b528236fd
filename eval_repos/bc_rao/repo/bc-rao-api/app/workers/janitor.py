"""Daily housekeeping, run as a process of its own: python -m app.workers.janitor"""

import asyncio
import logging
from datetime import datetime, timedelta, timezone

from app.config import LOG_FORMAT, get_settings
from app.integrations.supabase_client import get_supabase_client

logger = logging.getLogger(__name__)

PURGE_INTERVAL_SECONDS = 24 * 3600
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


async def purge_forever() -> None:
    while True:
        now = datetime.now(timezone.utc)
        try:
            purged = await asyncio.to_thread(purge_raw_posts, now)
            expired = await asyncio.to_thread(expire_old_posts, now)
            logger.info("Purged %d raw posts, expired %d monitored posts", purged, expired)
        except Exception:
            logger.exception("Housekeeping failed, trying again tomorrow")
        await asyncio.sleep(PURGE_INTERVAL_SECONDS)


def main() -> None:
    logging.basicConfig(level=get_settings().log_level, format=LOG_FORMAT)
    asyncio.run(purge_forever())


if __name__ == "__main__":
    main()
