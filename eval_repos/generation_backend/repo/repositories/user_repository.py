from typing import Any, Dict, Optional

from database import Database, db


class UserRepository:
    def __init__(self, database: Database = db) -> None:
        self.db = database

    async def get(self, user_id: str) -> Optional[Dict[str, Any]]:
        result = await (
            self.db.require_client()
            .table("profiles")
            .select("id, email, display_name, credits_balance, is_active")
            .eq("id", user_id)
            .limit(1)
            .execute()
        )
        return next(iter(result.data), None)


user_repository = UserRepository()
