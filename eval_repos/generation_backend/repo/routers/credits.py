from typing import Any, Dict

from fastapi import APIRouter, Depends, Query

from middleware.auth import get_current_user
from models.user import CurrentUser
from services.credits_service import credits_service

router = APIRouter(prefix="/credits", tags=["credits"])


@router.get("/balance")
async def balance(current_user: CurrentUser = Depends(get_current_user)) -> Dict[str, int]:
    return {"balance": current_user.credits_balance}


@router.get("/summary")
async def summary(
    limit: int = Query(default=100, ge=1, le=500), current_user: CurrentUser = Depends(get_current_user)
) -> Dict[str, Any]:
    return await credits_service.usage_summary(current_user.id, limit)
