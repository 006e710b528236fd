"""What the API takes and gives."""

from sqlmodel import Field, SQLModel


class Registration(SQLModel):
    email: str = Field(min_length=3, max_length=254)
    password: str = Field(min_length=8, max_length=72)


class Credentials(SQLModel):
    email: str
    password: str


class Token(SQLModel):
    access_token: str
    token_type: str = "bearer"


class Profile(SQLModel):
    id: int
    email: str
    plan: str


class ChatRequest(SQLModel):
    agent: str = Field(min_length=1, max_length=64)
    message: str = Field(min_length=1, max_length=8000)
    use_documents: bool = False


class ChatReply(SQLModel):
    agent: str
    reply: str
    tokens: int


class DocumentInfo(SQLModel):
    id: int
    title: str
    path: str
    mime: str


class VideoRequest(SQLModel):
    title: str = Field(min_length=1, max_length=120)
    clips: list[str] = Field(min_length=1, max_length=20)


class VideoJob(SQLModel):
    job_id: str
    seconds: float
