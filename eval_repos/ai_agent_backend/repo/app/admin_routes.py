"""Administration: included when ADMIN_API_ENABLED is set."""

from fastapi import APIRouter, Depends, HTTPException, Request

from app.auth import require_admin
from app.models import Plan

router = APIRouter(prefix="/admin", tags=["admin"], dependencies=[Depends(require_admin)])


@router.get("/stats")
def stats(request: Request) -> dict[str, int]:
    db = request.app.state.db
    events = db.usage_of()
    return {"users": db.count_users(), "events": len(events), "tokens": sum(event.tokens for event in events)}


@router.put("/users/{user_id}/plan/{plan}")
def change_plan(request: Request, user_id: int, plan: Plan) -> dict[str, str]:
    if not request.app.state.db.set_plan(user_id, plan):
        raise HTTPException(404, "No such user")
    return {"plan": plan.value}


@router.post("/rate-limits/clear")
def clear_rate_limits(request: Request) -> dict[str, int]:
    return {"removed": request.app.state.rate_store.clear()}
