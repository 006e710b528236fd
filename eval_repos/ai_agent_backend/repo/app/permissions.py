"""Dependencies for routes that not every user may call."""

from fastapi import Depends, HTTPException

from app.auth import get_current_user_required
from app.models import Plan, UserRecord


def require_admin(user: UserRecord = Depends(get_current_user_required)) -> UserRecord:
    if user.plan is not Plan.ADMIN:
        raise HTTPException(403, "Administrators only")
    return user
