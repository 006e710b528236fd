from typing import Any, Dict, List, Optional

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from app.database.models import Post, Profile

SORT_COLUMNS = {
    "followers": Profile.followers_count,
    "engagement": Profile.engagement_rate,
    "username": Profile.username,
}


class UnknownSortError(ValueError):
    def __init__(self) -> None:
        super().__init__(f"Sort by one of: {', '.join(SORT_COLUMNS)}")


def profile_summary(profile: Profile) -> Dict[str, Any]:
    return {
        "username": profile.username,
        "full_name": profile.full_name,
        "category": profile.category,
        "followers_count": profile.followers_count,
        "engagement_rate": profile.engagement_rate,
        "ai_analyzed": profile.ai_analyzed_at is not None,
    }


def _like(term: str) -> str:
    escaped = term.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def search_creators(
    db: Session,
    *,
    term: Optional[str] = None,
    category: Optional[str] = None,
    min_followers: Optional[int] = None,
    max_followers: Optional[int] = None,
    sort: str = "followers",
    page: int = 1,
    page_size: int = 20,
) -> Dict[str, Any]:
    column = SORT_COLUMNS.get(sort)
    if column is None:
        raise UnknownSortError()

    conditions = []
    if term:
        pattern = _like(term)
        conditions.append(
            or_(Profile.username.ilike(pattern, escape="\\"), Profile.full_name.ilike(pattern, escape="\\"))
        )
    if category:
        conditions.append(Profile.category == category)
    if min_followers is not None:
        conditions.append(Profile.followers_count >= min_followers)
    if max_followers is not None:
        conditions.append(Profile.followers_count <= max_followers)

    total = db.scalar(select(func.count()).select_from(Profile).where(*conditions)) or 0
    ordering = column.asc() if sort == "username" else column.desc().nulls_last()
    rows = db.scalars(
        select(Profile)
        .where(*conditions)
        .order_by(ordering, Profile.id)
        .offset((page - 1) * page_size)
        .limit(page_size)
    ).all()
    return {
        "profiles": [profile_summary(profile) for profile in rows],
        "pagination": {"page": page, "page_size": page_size, "total": total, "pages": -(-total // page_size)},
    }


def get_profile(db: Session, username: str) -> Optional[Profile]:
    return db.scalars(select(Profile).where(Profile.username == username)).first()


def recent_posts(db: Session, profile: Profile, limit: int = 12) -> List[Dict[str, Any]]:
    posts = db.scalars(
        select(Post).where(Post.profile_id == profile.id).order_by(Post.posted_at.desc()).limit(limit)
    ).all()
    return [
        {"id": post.id, "caption": post.caption, "likes": post.likes_count, "comments": post.comments_count}
        for post in posts
    ]
