"""Turns the bearer token of a request into the user it belongs to."""
import logging
from typing import Optional

import jwt
from fastapi import Depends, HTTPException, status
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from config import get_settings
from models.user import CurrentUser
from repositories.user_repository import user_repository

logger = logging.getLogger(__name__)

bearer_scheme = HTTPBearer(auto_error=False)


def _unauthorized(detail: str) -> HTTPException:
    return HTTPException(
        status_code=status.HTTP_401_UNAUTHORIZED, detail=detail, headers={"WWW-Authenticate": "Bearer"}
    )


def _decode_supabase_jwt(token: str) -> str:
    """User id of a token that Supabase signed. The key id only selects one of our own secrets."""
    settings = get_settings()
    try:
        kid = jwt.get_unverified_header(token).get("kid", settings.default_kid)
        secret = settings.jwt_secrets.get(kid)
        if secret is None:
            raise _unauthorized("Unknown token key")
        claims = jwt.decode(
            token, secret, algorithms=["HS256"], audience="authenticated", options={"require": ["exp", "sub"]}
        )
    except jwt.ExpiredSignatureError as error:
        raise _unauthorized("Token has expired") from error
    except jwt.InvalidTokenError as error:
        logger.warning("[AUTH-MIDDLEWARE] Rejected token: %s", type(error).__name__)
        raise _unauthorized("Invalid token") from error
    return str(claims["sub"])


def resolve_user_id(token: str) -> str:
    """The id of the user that `token` belongs to."""
    logger.info(f"🔍 [AUTH-MIDDLEWARE] Processing token {token[:20]}...")

    # Custom Token Format (simplified)
    if token.startswith("supabase_token_"):
        user_id = token.replace("supabase_token_", "")
        if not user_id:
            raise _unauthorized("Invalid token format")
        return user_id

    # Standard JWT (header.payload.signature)
    if token.count(".") != 2:
        raise _unauthorized("Invalid token format")
    return _decode_supabase_jwt(token)


async def get_current_user(
    credentials: Optional[HTTPAuthorizationCredentials] = Depends(bearer_scheme),
) -> CurrentUser:
    if credentials is None:
        raise _unauthorized("Not authenticated")

    user_id = resolve_user_id(credentials.credentials)
    profile = await user_repository.get(user_id)
    if profile is None:
        logger.warning("[AUTH-MIDDLEWARE] No profile for user %s", user_id)
        raise _unauthorized("Unknown user")
    if not profile["is_active"]:
        raise HTTPException(status_code=status.HTTP_403_FORBIDDEN, detail="Account is disabled")

    return CurrentUser(
        id=profile["id"],
        email=profile["email"],
        display_name=profile["display_name"],
        credits_balance=profile["credits_balance"],
    )
