"""Token usage: recording, the daily quota, and the transfer to the billing table in Supabase."""

import csv
import logging
from datetime import datetime, timedelta, timezone
from typing import TextIO

import httpx

from app.config import Settings
from app.database import Database
from app.models import DAILY_TOKENS, UserRecord

logger = logging.getLogger(__name__)

DAY = timedelta(days=1)


class QuotaExceeded(RuntimeError):
    """The user has no tokens left in this window."""


def record_event(db: Database, user_id: int, kind: str, tokens: int, at: datetime | None = None) -> None:
    moment = at or datetime.utcnow()
    db.add_usage(user_id, kind, tokens, moment.isoformat())


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo is not None else moment.astimezone()


def tokens_since(db: Database, user_id: int, window: timedelta = DAY) -> int:
    start = datetime.now(timezone.utc) - window
    return sum(event.tokens for event in db.usage_of(user_id) if _moment(event.created_at) >= start)


def check_quota(db: Database, user: UserRecord) -> int:
    """The tokens that are left today."""
    left = DAILY_TOKENS[user.plan] - tokens_since(db, user.id)
    if left <= 0:
        raise QuotaExceeded("The daily quota is used up")
    return left


def export_csv(db: Database, sink: TextIO) -> int:
    writer = csv.writer(sink)
    writer.writerow(["user_id", "kind", "tokens", "created_at"])
    events = db.usage_of()
    writer.writerows([event.user_id, event.kind, event.tokens, event.created_at] for event in events)
    return len(events)


def flush_usage(db: Database, settings: Settings) -> int:
    """Send what Supabase does not have yet. Rows are upserted by id, so one that was sent before does no harm."""
    headers = {
        "apikey": settings.supabase_key,
        "Authorization": f"Bearer {settings.supabase_key}",
        "Prefer": "resolution=merge-duplicates",
    }
    sent = 0
    with httpx.Client(base_url=settings.supabase_url, headers=headers, timeout=10) as client:
        for event in db.usage_of(unflushed_only=True):
            response = client.post("/rest/v1/usage_events", json=event.model_dump())
            response.raise_for_status()
            db.mark_flushed(event.id)
            sent += 1
    logger.info("%d usage events sent to Supabase", sent)
    return sent
