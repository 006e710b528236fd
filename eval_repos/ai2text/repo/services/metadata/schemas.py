"""Request and response bodies."""
from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field

Status = Literal["new", "transcribed", "reviewed"]
Source = Literal["hot-folder", "inbox"]


class NewRecording(BaseModel):
    id: UUID
    object_key: str = Field(min_length=1, max_length=512)
    source: Source
    original_name: str = Field(min_length=1, max_length=255)
    duration_seconds: float = Field(ge=0)


class TranscriptIn(BaseModel):
    text: str
    model: str = Field(min_length=1, max_length=64)


class Correction(BaseModel):
    recording_id: UUID
    transcript: str = Field(min_length=1)


class RecordingOut(BaseModel):
    id: UUID
    object_key: str
    source: str
    original_name: str
    duration_seconds: float
    status: Status
    transcript: str | None
    created_at: datetime


class Page(BaseModel):
    total: int
    items: list[RecordingOut]
