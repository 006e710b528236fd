from typing import Any, Dict, List, Optional

from database import Database, db


class CreditRepository:
    def __init__(self, database: Database = db) -> None:
        self.db = database

    async def deduct(self, user_id: str, amount: int, generation_id: str) -> Optional[int]:
        """New balance, or None when the balance is smaller than `amount`."""
        result = await self.db.require_client().rpc(
            "deduct_credits", {"p_user_id": user_id, "p_amount": amount, "p_generation_id": generation_id}
        ).execute()
        return result.data

    async def refund(self, user_id: str, amount: int, generation_id: str) -> int:
        result = await self.db.require_client().rpc(
            "refund_credits", {"p_user_id": user_id, "p_amount": amount, "p_generation_id": generation_id}
        ).execute()
        return result.data

    async def transactions(self, user_id: str, limit: int) -> List[Dict[str, Any]]:
        result = await (
            self.db.require_client()
            .table("credit_transactions")
            .select("generation_id, amount, kind, created_at")
            .eq("user_id", user_id)
            .order("created_at", desc=True)
            .limit(limit)
            .execute()
        )
        return result.data


credit_repository = CreditRepository()
