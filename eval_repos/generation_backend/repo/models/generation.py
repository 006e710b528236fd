from datetime import datetime
from enum import Enum
from typing import Any, Dict, List, Optional

from pydantic import BaseModel, Field, HttpUrl


class GenerationStatus(str, Enum):
    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        return self in (GenerationStatus.COMPLETED, GenerationStatus.FAILED)


class GenerationCreate(BaseModel):
    model_id: str
    prompt: str = Field(min_length=1, max_length=2000)
    negative_prompt: Optional[str] = Field(default=None, max_length=2000)
    reference_image_url: Optional[HttpUrl] = None
    num_outputs: int = Field(default=1, ge=1, le=4)
    parameters: Dict[str, Any] = Field(default_factory=dict)


class GenerationResponse(BaseModel):
    id: str
    model_id: str
    prompt: str
    status: GenerationStatus
    cost: int
    media_paths: List[str] = Field(default_factory=list)
    error_message: Optional[str] = None
    processing_seconds: Optional[float] = None
    created_at: datetime
    completed_at: Optional[datetime] = None


class GenerationPage(BaseModel):
    items: List[GenerationResponse]
    offset: int
    limit: int


class ModelInfo(BaseModel):
    id: str
    name: str
    kind: str
    credits: int
    parameters: List[str]
