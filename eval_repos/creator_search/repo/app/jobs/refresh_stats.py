"""Recomputes the engagement rates. Runs inside the service (see main.py) or by hand:

    python -m app.jobs.refresh_stats
"""
import asyncio
import logging

from sqlalchemy import select

from app.core.clock import utcnow
from app.database.connection import SessionLocal, get_engine
from app.database.models import Post, Profile
from app.services.stats_service import engagement_rate

logger = logging.getLogger(__name__)

POSTS_PER_PROFILE = 30


def refresh_engagement_rates() -> int:
    """Update every profile in one transaction; returns how many have changed."""
    get_engine()
    session = SessionLocal()
    changed = 0
    for profile in session.scalars(select(Profile).order_by(Profile.id)).all():
        posts = session.scalars(
            select(Post).where(Post.profile_id == profile.id).order_by(Post.posted_at.desc()).limit(POSTS_PER_PROFILE)
        ).all()
        rate = engagement_rate(profile.followers_count, list(posts))
        if rate != profile.engagement_rate:
            profile.engagement_rate = rate
            profile.updated_at = utcnow()
            changed += 1
    session.commit()
    session.close()
    return changed


async def refresh_forever(interval: float) -> None:
    while True:
        try:
            changed = await asyncio.to_thread(refresh_engagement_rates)
        except Exception:
            logger.exception("Refreshing the engagement rates failed; next attempt in %s s", interval)
        else:
            logger.info("Refreshed %d engagement rates", changed)
        await asyncio.sleep(interval)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    print(refresh_engagement_rates())
