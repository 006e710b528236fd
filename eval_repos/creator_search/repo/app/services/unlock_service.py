"""Unlocking of profiles for credits."""
import logging
from typing import Any, Dict, Iterator, Optional

from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, joinedload

from app.core.clock import utcnow
from app.database.models import Profile, UnlockedProfile, User
from app.services.search_service import profile_summary

logger = logging.getLogger(__name__)

UNLOCK_COST = 25


class NotEnoughCreditsError(Exception):
    pass


def find_unlock(db: Session, user_id: str, profile_id: int) -> Optional[UnlockedProfile]:
    return db.scalars(
        select(UnlockedProfile).where(UnlockedProfile.user_id == user_id, UnlockedProfile.profile_id == profile_id)
    ).first()


def unlock_profile(db: Session, user_id: str, profile: Profile) -> bool:
    """True when the profile was unlocked now, False when it had been before."""
    if find_unlock(db, user_id, profile.id) is not None:
        return False

    charged = db.execute(
        update(User).where(User.id == user_id, User.credits >= UNLOCK_COST).values(credits=User.credits - UNLOCK_COST)
    )
    if charged.rowcount == 0:
        db.rollback()
        raise NotEnoughCreditsError()

    db.add(UnlockedProfile(user_id=user_id, profile_id=profile.id, credits_spent=UNLOCK_COST, unlocked_at=utcnow()))
    try:
        db.commit()
    except IntegrityError:
        # Two requests at once: the other one has unlocked it and was charged, this one is not.
        db.rollback()
        logger.info("Profile %s was unlocked twice at once by user %s", profile.id, user_id)
        return False
    return True


def list_unlocked(db: Session, user_id: str, page: int, page_size: int) -> Dict[str, Any]:
    total = db.scalar(
        select(func.count()).select_from(UnlockedProfile).where(UnlockedProfile.user_id == user_id)
    ) or 0
    unlocks = db.scalars(
        select(UnlockedProfile)
        .where(UnlockedProfile.user_id == user_id)
        .options(joinedload(UnlockedProfile.profile))
        .order_by(UnlockedProfile.unlocked_at.desc(), UnlockedProfile.id.desc())
        .offset((page - 1) * page_size)
        .limit(page_size)
    ).all()
    return {
        "profiles": [
            {**profile_summary(unlock.profile), "unlocked_at": unlock.unlocked_at.isoformat()} for unlock in unlocks
        ],
        "pagination": {"page": page, "page_size": page_size, "total": total},
    }


def iter_unlocked(db: Session, user_id: str) -> Iterator[Dict[str, Any]]:
    unlocks = db.scalars(
        select(UnlockedProfile)
        .where(UnlockedProfile.user_id == user_id)
        .options(joinedload(UnlockedProfile.profile))
        .order_by(UnlockedProfile.id)
        .execution_options(yield_per=500)
    )
    for unlock in unlocks:
        yield {**profile_summary(unlock.profile), "unlocked_at": unlock.unlocked_at}
