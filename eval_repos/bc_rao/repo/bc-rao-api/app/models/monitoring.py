"""Request and response bodies of the monitoring endpoints."""

from typing import Literal

from pydantic import BaseModel, Field

AccountStatus = Literal["New", "Established"]


class RegisterPostRequest(BaseModel):
    campaign_id: str
    draft_id: str | None = None
    post_url: str
    reddit_username: str = Field(pattern=r"^[A-Za-z0-9_-]{3,20}$")


class AccountStatusRequest(BaseModel):
    account_status: AccountStatus


class MonitoredPost(BaseModel):
    id: str
    campaign_id: str
    subreddit: str
    reddit_post_url: str
    reddit_username: str
    account_status: str
    status: str
    check_interval_hours: int
    total_checks: int
    last_check_at: str | None = None
    next_check_at: str


class DashboardStats(BaseModel):
    total: int
    active: int
    shadowbanned: int
    removed: int
    survival_rate: float
