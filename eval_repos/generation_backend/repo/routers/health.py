import logging
from typing import Dict

from fastapi import APIRouter, HTTPException

from config import get_settings
from database import db

logger = logging.getLogger(__name__)

router = APIRouter(prefix="/health", tags=["health"])


@router.get("/live")
async def live() -> Dict[str, str]:
    return {"status": "ok"}


@router.get("/ready")
async def ready() -> Dict[str, str]:
    """For the load balancer: whatever is wrong, this instance gets no traffic."""
    try:
        if not db.is_available():
            await db.connect(get_settings())
        await db.require_client().table("profiles").select("id").limit(1).execute()
    except Exception as error:
        logger.exception("[HEALTH] Not ready")
        raise HTTPException(status_code=503, detail="Not ready") from error
    return {"status": "ready"}
