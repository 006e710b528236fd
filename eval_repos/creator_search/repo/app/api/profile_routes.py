import logging
from typing import Any, Dict

from fastapi import APIRouter, BackgroundTasks, Depends, HTTPException
from sqlalchemy.orm import Session

from app.api.deps import get_db
from app.database.models import User
from app.middleware.auth_middleware import get_current_active_user
from app.services import search_service, unlock_service
from app.services.analysis_client import AnalysisUnavailableError, request_analysis

logger = logging.getLogger(__name__)

router = APIRouter(prefix="/profiles", tags=["profiles"])


def _analyze(username: str) -> None:
    try:
        request_analysis(username)
    except AnalysisUnavailableError:
        logger.exception("Profile %s stays without an analysis for now", username)


@router.get("/me")
def my_account(current_user: User = Depends(get_current_active_user)) -> Dict[str, Any]:
    return {
        "id": current_user.id,
        "email": current_user.email,
        "full_name": current_user.full_name,
        "credits": current_user.credits,
    }


@router.get("/{username}")
def profile_details(
    username: str, current_user: User = Depends(get_current_active_user), db: Session = Depends(get_db)
) -> Dict[str, Any]:
    profile = search_service.get_profile(db, username)
    if profile is None:
        raise HTTPException(status_code=404, detail="Profile not found")
    unlocked = unlock_service.find_unlock(db, current_user.id, profile.id) is not None
    posts = search_service.recent_posts(db, profile) if unlocked else []
    top_post = max(posts, key=lambda post: post["likes"]) if posts else None
    return {**search_service.profile_summary(profile), "unlocked": unlocked, "posts": posts, "top_post": top_post}


@router.post("/{username}/unlock")
def unlock(
    username: str,
    background: BackgroundTasks,
    current_user: User = Depends(get_current_active_user),
    db: Session = Depends(get_db),
) -> Dict[str, Any]:
    profile = search_service.get_profile(db, username)
    if profile is None:
        raise HTTPException(status_code=404, detail="Profile not found")
    try:
        new = unlock_service.unlock_profile(db, current_user.id, profile)
    except unlock_service.NotEnoughCreditsError:
        raise HTTPException(status_code=402, detail="Not enough credits") from None
    if new and profile.ai_analyzed_at is None:
        background.add_task(_analyze, profile.username)
    return {"success": True, "newly_unlocked": new}
