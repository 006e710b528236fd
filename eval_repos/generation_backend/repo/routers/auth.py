from fastapi import APIRouter, Depends, HTTPException

from middleware.auth import get_current_user
from models.user import CurrentUser, LoginRequest, LoginResponse
from repositories.user_repository import user_repository
from services.auth_service import InvalidCredentialsError, auth_service

router = APIRouter(prefix="/auth", tags=["auth"])


@router.post("/login", response_model=LoginResponse)
async def login(payload: LoginRequest) -> LoginResponse:
    try:
        session = await auth_service.sign_in(payload.email, payload.password)
    except InvalidCredentialsError:
        raise HTTPException(status_code=401, detail="Invalid e-mail address or password") from None

    profile = await user_repository.get(session.user.id)
    if profile is None or not profile["is_active"]:
        raise HTTPException(status_code=403, detail="Account is disabled")
    return LoginResponse(
        access_token=session.access_token,
        expires_in=session.expires_in,
        user=CurrentUser(
            id=profile["id"],
            email=profile["email"],
            display_name=profile["display_name"],
            credits_balance=profile["credits_balance"],
        ),
    )


@router.get("/me", response_model=CurrentUser)
async def me(current_user: CurrentUser = Depends(get_current_user)) -> CurrentUser:
    return current_user
