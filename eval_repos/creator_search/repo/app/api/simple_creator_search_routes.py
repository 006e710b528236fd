"""Search, statistics and unlocked profiles for the dashboard."""
import logging
from typing import Any, Dict, Optional

from fastapi import APIRouter, Depends, HTTPException
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session

from app.api.deps import get_db
from app.database.models import User
from app.middleware.auth_middleware import get_current_active_user
from app.resilience.database_breaker import database_breaker
from app.services.search_service import UnknownSortError, search_creators
from app.services.stats_service import collect_system_stats
from app.services.unlock_service import list_unlocked

logger = logging.getLogger(__name__)

router = APIRouter(prefix="/simple/creator", tags=["simple creator search"])


class CreatorSearch(BaseModel):
    term: Optional[str] = Field(default=None, max_length=100)
    category: Optional[str] = Field(default=None, max_length=100)
    min_followers: Optional[int] = Field(default=None, ge=0)
    max_followers: Optional[int] = Field(default=None, ge=0)
    sort: str = "followers"
    page: int = Field(default=1, ge=1)
    page_size: int = Field(default=20, ge=1, le=100)


@router.post("/search")
async def search(
    payload: CreatorSearch,
    current_user: User = Depends(get_current_active_user),
    db: Session = Depends(get_db),
) -> Dict[str, Any]:
    try:
        found = await run_in_threadpool(
            database_breaker.call, search_creators, db, **payload.model_dump()
        )
    except UnknownSortError as error:
        raise HTTPException(status_code=422, detail=str(error)) from error
    logger.info("Search of user %s found %d profiles", current_user.id, found["pagination"]["total"])
    return {"success": True, **found}


@router.get("/system/stats")
async def get_system_stats(
    current_user: User = Depends(get_current_active_user),
    db: Session = Depends(get_db),
) -> Dict[str, Any]:
    stats = await run_in_threadpool(database_breaker.call, collect_system_stats, db)
    return {"success": True, "stats": stats, "message": "System statistics"}


@router.get("/unlocked")
async def get_unlocked_profiles(
    page: int = Query(1, ge=1),
    page_size: int = Query(20, ge=1, le=100),
    current_user: User = Depends(get_current_active_user),
    db: Session = Depends(get_db),
) -> Dict[str, Any]:
    unlocked = await run_in_threadpool(
        database_breaker.call, list_unlocked, db, current_user.id, page, page_size
    )
    return {"success": True, **unlocked}
