"""Request and response bodies of the draft endpoints."""

from typing import Literal

from pydantic import BaseModel, Field

Archetype = Literal["Journey", "ProblemSolution", "Feedback"]
DraftStatus = Literal["generated", "edited", "approved", "discarded"]


class GenerateDraftRequest(BaseModel):
    subreddit: str
    archetype: Archetype = "Journey"
    context: str = Field(default="", max_length=2000)


class RegenerateDraftRequest(BaseModel):
    feedback: str = Field(default="", max_length=1000)


class UpdateDraftRequest(BaseModel):
    title: str | None = Field(default=None, max_length=300)
    body: str = Field(min_length=1, max_length=40_000)


class DraftResponse(BaseModel):
    id: str
    campaign_id: str
    subreddit: str
    archetype: str
    title: str | None = None
    body: str
    status: str
    edit_count: int = 0


class TaskResponse(BaseModel):
    task_id: str
