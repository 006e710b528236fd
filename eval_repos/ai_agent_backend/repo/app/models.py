"""Records of the local database, as the rest of the code sees them."""

from enum import Enum

from sqlmodel import Field, SQLModel


class Plan(str, Enum):
    FREE = "free"
    PRO = "pro"
    ADMIN = "admin"


PLAN_SCOPES = {
    Plan.FREE: frozenset({"chat"}),
    Plan.PRO: frozenset({"chat", "video"}),
    Plan.ADMIN: frozenset({"chat", "video", "admin"}),
}
DAILY_TOKENS = {Plan.FREE: 20_000, Plan.PRO: 500_000, Plan.ADMIN: 2_000_000}


class UserRecord(SQLModel):
    id: int
    email: str
    password_hash: str = Field(repr=False)
    plan: Plan = Plan.FREE

    @property
    def scopes(self) -> frozenset[str]:
        return PLAN_SCOPES[self.plan]


class DocumentRecord(SQLModel):
    id: int
    user_id: int
    title: str
    path: str
    mime: str


class MessageRecord(SQLModel):
    role: str
    content: str


class UsageRecord(SQLModel):
    id: int
    user_id: int
    kind: str
    tokens: int
    created_at: str
