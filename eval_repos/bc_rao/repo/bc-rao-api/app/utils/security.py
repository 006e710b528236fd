"""Token checks and validation of user supplied names."""

import re

import jwt

from app.config import get_settings
from app.utils.errors import AppError, ErrorCode

SUBREDDIT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_]{1,20}")
POST_URL = re.compile(
    r"https://(?:www\.|old\.|new\.)?reddit\.com/r/(?P<subreddit>[A-Za-z0-9_]+)"
    r"/comments/(?P<post_id>[a-z0-9]+)(?:/.*)?"
)


def decode_access_token(token: str) -> dict:
    """Verify a Supabase access token and return its claims."""
    try:
        return jwt.decode(
            token,
            get_settings().supabase_jwt_secret,
            algorithms=["HS256"],
            audience="authenticated",
            options={"require": ["exp", "sub"]},
        )
    except jwt.InvalidTokenError as e:
        raise AppError(
            code=ErrorCode.AUTH_REQUIRED,
            message="Invalid or expired session",
            status_code=401,
        ) from e


def validate_subreddit_name(name: str) -> str:
    """Return the bare subreddit name; prefixes and URLs are refused."""
    if SUBREDDIT_NAME.fullmatch(name) is None:
        raise AppError(
            code=ErrorCode.VALIDATION_ERROR,
            message="Use the plain subreddit name, without 'r/'",
            status_code=422,
            details={"subreddit": name},
        )
    return name


def parse_post_url(url: str) -> tuple[str, str]:
    """Return (subreddit, post id) of a reddit post URL."""
    match = POST_URL.fullmatch(url)
    if match is None:
        raise AppError(
            code=ErrorCode.VALIDATION_ERROR,
            message="Not a link to a reddit post",
            status_code=422,
        )
    return match["subreddit"], match["post_id"]
