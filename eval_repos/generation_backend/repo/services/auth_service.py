"""Sign-in through Supabase Auth."""
import logging
from typing import Any, Optional

from supabase import AuthApiError

from database import Database, db

logger = logging.getLogger(__name__)


class InvalidCredentialsError(Exception):
    pass


class AuthService:
    def __init__(self, database: Database = db) -> None:
        self.db = database

    async def sign_in(self, email: str, password: str) -> Any:
        """Session of the user; its access token is a JWT signed by Supabase."""
        client = self.db.require_client()
        try:
            response = await client.auth.sign_in_with_password({"email": email, "password": password})
        except AuthApiError as error:
            raise InvalidCredentialsError() from error
        session: Optional[Any] = response.session
        if session is None:
            raise InvalidCredentialsError()
        logger.info(
            "[AUTH] Issued a %s token for user %s, valid for %d s",
            session.token_type, session.user.id, session.expires_in,
        )
        return session


auth_service = AuthService()
