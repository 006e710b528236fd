from typing import Any, Dict, List, Type, Union

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.database.models import Post, Profile


def _percentage(part: int, whole: int) -> str:
    if whole == 0:
        return "0%"
    return f"{round(100 * part / whole)}%"


def _coverage(db: Session, model: Type[Union[Profile, Post]]) -> Dict[str, Any]:
    total = db.scalar(select(func.count()).select_from(model)) or 0
    analyzed = db.scalar(select(func.count()).select_from(model).where(model.ai_analyzed_at.is_not(None))) or 0
    return {"total": total, "with_ai_analysis": analyzed, "ai_completion_rate": _percentage(analyzed, total)}


def collect_system_stats(db: Session) -> Dict[str, Any]:
    profiles = _coverage(db, Profile)
    return {
        "profiles": profiles,
        "posts": _coverage(db, Post),
        "system": {"status": "ok", "ai_system": "active" if profiles["with_ai_analysis"] else "idle"},
    }


def engagement_rate(followers: int, posts: List[Post]) -> float:
    """Average interactions a post, in percent of the followers."""
    if not posts or not followers:
        return 0.0
    interactions = sum(post.likes_count + post.comments_count for post in posts)
    return round(100 * interactions / len(posts) / followers, 3)
