"""Shared FastAPI dependencies."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Cookie, Depends, Header

from app.utils.errors import AppError, ErrorCode
from app.utils.security import decode_access_token


@dataclass(frozen=True)
class CurrentUser:
    id: str


def get_current_user(
    authorization: Annotated[str | None, Header()] = None,
    access_token: Annotated[str | None, Cookie()] = None,
) -> CurrentUser:
    """User of the request; EventSource cannot set headers and sends the cookie."""
    token = access_token
    if authorization is not None and authorization.startswith("Bearer "):
        token = authorization.removeprefix("Bearer ")
    if not token:
        raise AppError(
            code=ErrorCode.AUTH_REQUIRED,
            message="Sign in first",
            status_code=401,
        )
    claims = decode_access_token(token)
    return CurrentUser(id=claims["sub"])


AuthenticatedUser = Annotated[CurrentUser, Depends(get_current_user)]
