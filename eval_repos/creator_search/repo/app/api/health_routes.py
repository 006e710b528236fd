from typing import Dict

from fastapi import APIRouter, HTTPException

from app.database.connection import check_database
from app.resilience.database_breaker import database_breaker

router = APIRouter(tags=["health"])


@router.get("/health")
def health() -> Dict[str, str]:
    return {"status": "ok", "database_circuit": "open" if database_breaker.is_open else "closed"}


@router.get("/health/ready")
def ready() -> Dict[str, str]:
    if not check_database():
        raise HTTPException(status_code=503, detail="Database is not reachable")
    return {"status": "ready"}
