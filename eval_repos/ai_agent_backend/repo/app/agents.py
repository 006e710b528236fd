"""Agents: their profiles and the conversation with the model."""

import logging
import os
from dataclasses import asdict, dataclass

from openai import APIConnectionError, APIError, OpenAI, RateLimitError

from app.database import Database
from app.models import MessageRecord, UserRecord
from app.retry import call_with_retry
from app.storage import FileMissing, LocalStorage
from app.supabase_client import SupabaseClient, SupabaseUnavailable
from app.text_processing import best_chunks, chunk_text, count_tokens, read_document

logger = logging.getLogger(__name__)

HISTORY_LIMIT = int(os.getenv("AGENT_HISTORY_LIMIT", "20"))
CONTEXT_TOKENS = 6000


class AgentNotFound(LookupError):
    """No agent has this slug."""


class ModelUnavailable(RuntimeError):
    """The language model gave no answer."""


@dataclass(frozen=True)
class AgentProfile:
    slug: str
    name: str
    instructions: str
    temperature: float = 0.7

    def as_dict(self) -> dict:
        return asdict(self)

    @classmethod
    def from_row(cls, row: dict) -> "AgentProfile":
        return cls(row["slug"], row["name"], row["instructions"], float(row.get("temperature", 0.7)))


class AgentDirectory:
    """Profiles from Supabase. While it cannot be reached the last known copy is used, and /health says so."""

    def __init__(self, supabase: SupabaseClient, db: Database) -> None:
        self._supabase = supabase
        self._db = db
        self.degraded = False

    def get(self, slug: str) -> AgentProfile:
        try:
            rows = self._supabase.select("agents", slug=slug)
        except SupabaseUnavailable:
            copy = self._db.load_agent_copy(slug)
            if copy is None:
                raise
            logger.warning("Supabase is not available, agent %s comes from the local copy", slug)
            self.degraded = True
            return AgentProfile.from_row(copy)
        self.degraded = False
        if not rows:
            raise AgentNotFound(slug)
        profile = AgentProfile.from_row(rows[0])
        self._db.save_agent_copy(profile)
        return profile

    def list(self) -> list[AgentProfile]:
        return [AgentProfile.from_row(row) for row in self._supabase.select("agents")]


class ChatService:
    def __init__(self, db: Database, storage: LocalStorage, api_key: str, model: str, client: OpenAI | None = None) -> None:
        self._db = db
        self._storage = storage
        self._model = model
        self._client = client or OpenAI(api_key=api_key, timeout=30.0, max_retries=0)

    def close(self) -> None:
        self._client.close()

    def _context(self, user: UserRecord, question: str) -> str:
        chunks: list[str] = []
        for document in self._db.list_documents(user.id):
            try:
                path = self._storage.locate(document.path)
            except FileMissing:
                logger.warning("Document %d has no file any more", document.id)
                continue
            chunks += chunk_text(read_document(path, document.mime))
        return "\n---\n".join(best_chunks(question, chunks))

    def _history(self, user: UserRecord, agent: AgentProfile) -> list[dict]:
        """The newest messages that fit into the context window."""
        room = CONTEXT_TOKENS - count_tokens(agent.instructions, self._model)
        kept: list[dict] = []
        for message in reversed(self._db.recent_messages(user.id, agent.slug, HISTORY_LIMIT)):
            room -= count_tokens(message.content, self._model)
            if room < 0:
                break
            kept.append({"role": message.role, "content": message.content})
        kept.reverse()
        return kept

    def reply(self, user: UserRecord, agent: AgentProfile, text: str, use_documents: bool = False) -> tuple[str, int]:
        system = agent.instructions
        if use_documents and (context := self._context(user, text)):
            system += f"\n\nUse these extracts of the user's documents:\n{context}"
        prompt = [{"role": "system", "content": system}, *self._history(user, agent), {"role": "user", "content": text}]
        try:
            completion = call_with_retry(
                lambda: self._client.chat.completions.create(model=self._model, messages=prompt, temperature=agent.temperature),
                retry_on=(APIConnectionError, RateLimitError),
            )
        except APIError as error:
            logger.exception("The model did not answer")
            raise ModelUnavailable("The model did not answer") from error
        if not completion.choices:
            raise ModelUnavailable("The model gave an empty answer")
        answer = completion.choices[0].message.content or ""
        tokens = completion.usage.total_tokens if completion.usage is not None else count_tokens(answer, self._model)
        self._db.add_messages(
            user.id, agent.slug, [MessageRecord(role="user", content=text), MessageRecord(role="assistant", content=answer)]
        )
        return answer, tokens
