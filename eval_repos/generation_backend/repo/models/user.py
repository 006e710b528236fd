from typing import Optional

from pydantic import BaseModel, Field


class CurrentUser(BaseModel):
    id: str
    email: str
    display_name: Optional[str] = None
    credits_balance: int = 0


class LoginRequest(BaseModel):
    email: str = Field(min_length=3, max_length=254, pattern=r"^[^@\s]+@[^@\s]+$")
    password: str = Field(min_length=8, max_length=128, repr=False)


class LoginResponse(BaseModel):
    access_token: str
    token_type: str = "bearer"
    expires_in: int
    user: CurrentUser
