"""Charging and refunding of credits; the database functions keep balance and journal consistent."""
import logging
from typing import Any, Dict, List

from errors import InsufficientCreditsError
from repositories.credit_repository import credit_repository

logger = logging.getLogger(__name__)


class CreditsService:
    async def charge(self, user_id: str, amount: int, generation_id: str) -> int:
        balance = await credit_repository.deduct(user_id, amount, generation_id)
        if balance is None:
            raise InsufficientCreditsError(amount)
        logger.info("[CREDITS] Charged %d credits to user %s, %d left", amount, user_id, balance)
        return balance

    async def refund(self, user_id: str, amount: int, generation_id: str) -> int:
        balance = await credit_repository.refund(user_id, amount, generation_id)
        logger.info("[CREDITS] Refunded %d credits to user %s for generation %s", amount, user_id, generation_id)
        return balance

    async def usage_summary(self, user_id: str, limit: int = 100) -> Dict[str, Any]:
        transactions: List[Dict[str, Any]] = await credit_repository.transactions(user_id, limit)
        spent = -sum(item["amount"] for item in transactions if item["kind"] == "usage")
        refunded = sum(item["amount"] for item in transactions if item["kind"] == "refund")
        return {
            "spent": spent,
            "refunded": refunded,
            "refund_rate": round(refunded / max(spent, 1), 3),
            "last_transaction": transactions[0] if transactions else None,
        }


credits_service = CreditsService()
