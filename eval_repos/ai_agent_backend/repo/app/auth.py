"""Passwords, access tokens and the current user."""

import logging
from datetime import datetime, timedelta, timezone

import bcrypt
import jwt
from fastapi import Depends, HTTPException, Request, status
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from passlib.context import CryptContext

from app import routes
from app.models import UserRecord

logger = logging.getLogger(__name__)

ALGORITHM = "HS256"
bearer = HTTPBearer(auto_error=False)

pwd_context = CryptContext(schemes=["bcrypt"], deprecated="auto")


def password_backend() -> dict[str, str]:
    """Shown by /health/dependencies: operations wants to see which bcrypt is in the image."""
    return {"scheme": pwd_context.default_scheme(), "bcrypt": bcrypt.__about__.__version__}


def hash_password(password: str) -> str:
    return pwd_context.hash(password)


def verify_password(password: str, password_hash: str) -> bool:
    return pwd_context.verify(password, password_hash)


def create_access_token(user: UserRecord, secret: str, minutes: int) -> str:
    now = datetime.now(timezone.utc)
    claims = {"sub": str(user.id), "iat": now, "exp": now + timedelta(minutes=minutes)}
    return jwt.encode(claims, secret, algorithm=ALGORITHM)


def read_access_token(token: str, secret: str) -> int:
    """The user id in a valid token."""
    try:
        claims = jwt.decode(token, secret, algorithms=[ALGORITHM], options={"require": ["sub", "exp"]})
        return int(claims["sub"])
    except (jwt.InvalidTokenError, ValueError) as error:
        logger.info("Token refused: %s", type(error).__name__)
        raise HTTPException(status.HTTP_401_UNAUTHORIZED, "Invalid or expired token", {"WWW-Authenticate": "Bearer"}) from error


def required_scope(request: Request) -> str | None:
    route = request.scope.get("route")
    return routes.ROUTE_SCOPES.get(route.name) if route is not None else None


def get_current_user_optional(
    request: Request, credentials: HTTPAuthorizationCredentials | None = Depends(bearer)
) -> UserRecord | None:
    if credentials is None:
        return None
    user_id = read_access_token(credentials.credentials, request.app.state.settings.jwt_secret)
    return request.app.state.db.get_user(user_id)


def get_current_user_required(request: Request, user: UserRecord | None = Depends(get_current_user_optional)) -> UserRecord:
    if user is None:
        raise HTTPException(status.HTTP_401_UNAUTHORIZED, "Not authenticated", {"WWW-Authenticate": "Bearer"})
    scope = required_scope(request)
    if scope is not None and scope not in user.scopes:
        raise HTTPException(status.HTTP_403_FORBIDDEN, "Your plan does not include this")
    return user
