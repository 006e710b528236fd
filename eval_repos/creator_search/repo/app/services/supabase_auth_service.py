"""Verifies Supabase tokens and keeps our `users` table in step with Supabase Auth."""
import logging
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Dict, Optional

import jwt
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.core.clock import utcnow
from app.core.config import get_settings
from app.database.models import User

logger = logging.getLogger(__name__)

USER_SYNC_TTL = 300  # seconds

# Users that were synced lately: cache key -> time of the sync
_user_sync_cache: Dict[str, float] = {}


class InvalidTokenError(Exception):
    pass


@dataclass(frozen=True)
class SupabaseUser:
    id: str
    email: str
    full_name: Optional[str] = None
    verified_at: datetime = field(default_factory=utcnow)


class SupabaseAuthService:
    def verify_token(self, token: str) -> SupabaseUser:
        try:
            claims = jwt.decode(
                token,
                get_settings().supabase_jwt_secret,
                algorithms=["HS256"],
                audience="authenticated",
                options={"require": ["exp", "sub", "email"]},
            )
        except jwt.InvalidTokenError as error:
            raise InvalidTokenError(type(error).__name__) from error
        metadata = claims.get("user_metadata") or {}
        return SupabaseUser(id=claims["sub"], email=claims["email"], full_name=metadata.get("full_name"))

    def sync_user(self, supabase_user: SupabaseUser, db: Session) -> User:
        """Our row of a Supabase user; written at most once every USER_SYNC_TTL seconds."""
        user_cache_key = f"{supabase_user.id}:{supabase_user.email}:{supabase_user.verified_at.isoformat()}"

        # Debug logging
        logger.debug(f"SYNC-CACHE: Current cache size: {len(_user_sync_cache)}")

        synced_at = _user_sync_cache.get(user_cache_key)
        if synced_at is not None and time.monotonic() - synced_at < USER_SYNC_TTL:
            logger.info(f"SYNC-CACHE: Cache HIT for {supabase_user.email}, skipping database sync")
            user = db.get(User, supabase_user.id)
            if user is not None:
                return user
        else:
            logger.info(f"SYNC-CACHE: Cache MISS for {supabase_user.email}, performing database sync")

        user = self._write_user(supabase_user, db)
        _user_sync_cache[user_cache_key] = time.monotonic()
        return user

    def _write_user(self, supabase_user: SupabaseUser, db: Session) -> User:
        now = utcnow()
        user = db.get(User, supabase_user.id)
        if user is None:
            user = User(
                id=supabase_user.id, email=supabase_user.email, role="member", status="active", credits=0, created_at=now
            )
            db.add(user)
            try:
                db.flush()
            except IntegrityError:
                # The user's first two requests came at once.
                db.rollback()
                user = db.get_one(User, supabase_user.id)
        user.email = supabase_user.email
        if supabase_user.full_name:
            user.full_name = supabase_user.full_name
        user.last_seen_at = now
        db.commit()
        return user


supabase_auth_service = SupabaseAuthService()
