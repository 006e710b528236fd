"""Takes generation requests, charges for them and drives them through FAL.ai into the user's bucket."""
import asyncio
import logging
from datetime import datetime, timezone
from typing import Any, Dict, List, Optional, Set
from uuid import uuid4

from database import Database, db
from errors import GenerationBusyError, GenerationNotFoundError, ServiceUnavailableError, StorageError
from models.generation import GenerationCreate, GenerationPage, GenerationResponse, GenerationStatus, ModelInfo
from services.credits_service import credits_service
from services.fal_service import fal_service
from services.storage_service import storage_service
from services.webhook_service import webhook_service
from utils.timing import elapsed_since

logger = logging.getLogger(__name__)

COLUMNS = (
    "id, user_id, model_id, prompt, status, cost, media_paths, error_message, "
    "processing_seconds, created_at, completed_at"
)


class GenerationService:
    def __init__(self, database: Database = db) -> None:
        self.db = database
        self._tasks: Set["asyncio.Task[None]"] = set()

    # ------------------------------------------------------------------ helpers

    def _table(self) -> Any:
        return self.db.require_client().table("generations")

    @staticmethod
    def _now() -> str:
        return datetime.now(timezone.utc).isoformat()

    # Every change of a row goes through here.
    async def _update(self, generation_id: str, values: Dict[str, Any]) -> None:
        await self._table().update(values).eq("id", generation_id).execute()

    async def _get_row(self, user_id: str, generation_id: str) -> Dict[str, Any]:
        result = await (
            self._table().select(COLUMNS).eq("id", generation_id).eq("user_id", user_id).limit(1).execute()
        )
        if not result.data:
            raise GenerationNotFoundError()
        return result.data[0]

    # ------------------------------------------------------------------ requests

    def list_models(self) -> List[ModelInfo]:
        return [
            ModelInfo(
                id=model.id, name=model.name, kind=model.kind, credits=model.credits,
                parameters=sorted(model.parameters),
            )
            for model in fal_service.get_supported_models()
        ]

    async def create_generation(self, user_id: str, generation_data: GenerationCreate) -> GenerationResponse:
        """Store the request, charge for it and start working on it; the result is fetched later.

        The row is stored first because the credit journal refers to it.
        """
        model = fal_service.get_model(generation_data.model_id)
        fal_service.check_parameters(model, generation_data.parameters, generation_data.num_outputs)
        cost = model.credits * generation_data.num_outputs
        reference_image_url = str(generation_data.reference_image_url) if generation_data.reference_image_url else None

        started_at = time.time()
        generation_id = str(uuid4())
        row = {
            "id": generation_id,
            "user_id": user_id,
            "model_id": model.id,
            "prompt": generation_data.prompt,
            "negative_prompt": generation_data.negative_prompt,
            "reference_image_url": reference_image_url,
            "parameters": generation_data.parameters,
            "num_outputs": generation_data.num_outputs,
            "status": GenerationStatus.PENDING.value,
            "cost": cost,
            "created_at": self._now(),
        }
        result = await self.db.client.table("generations").insert(row).execute()
        if not result.data:
            raise ServiceUnavailableError("The generation could not be stored")
        stored = result.data[0]

        try:
            await credits_service.charge(user_id, cost, generation_id)
        except Exception:
            await self._table().delete().eq("id", generation_id).execute()
            raise

        self._start_processing(generation_id, user_id, generation_data, cost, started_at)
        return GenerationResponse(**stored)

    async def list_generations(self, user_id: str, offset: int = 0, limit: int = 20) -> GenerationPage:
        result = await (
            self._table()
            .select(COLUMNS)
            .eq("user_id", user_id)
            .order("created_at", desc=True)
            .range(offset, offset + limit - 1)
            .execute()
        )
        return GenerationPage(
            items=[GenerationResponse(**row) for row in result.data], offset=offset, limit=limit
        )

    async def get_generation(self, user_id: str, generation_id: str) -> GenerationResponse:
        return GenerationResponse(**await self._get_row(user_id, generation_id))

    async def get_media_urls(self, user_id: str, generation_id: str) -> List[str]:
        row = await self._get_row(user_id, generation_id)
        return await storage_service.signed_urls(row["media_paths"])

    async def delete_generation(self, user_id: str, generation_id: str) -> None:
        row = await self._get_row(user_id, generation_id)
        if not GenerationStatus(row["status"]).is_final:
            raise GenerationBusyError()
        removed = await storage_service.delete_files(row["media_paths"])
        await self._table().delete().eq("id", generation_id).execute()
        logger.info("[GENERATION] Deleted generation %s and %d files", generation_id, removed)

    # ------------------------------------------------------------------ background work

    def _start_processing(
        self, generation_id: str, user_id: str, generation_data: GenerationCreate, cost: int, started_at: float
    ) -> None:
        task = asyncio.create_task(
            self._process_generation(generation_id, user_id, generation_data, cost, started_at),
            name=f"generation-{generation_id}",
        )
        self._tasks.add(task)
        task.add_done_callback(self._on_task_done)

    def _on_task_done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if task.cancelled():
            logger.warning("[GENERATION] %s was interrupted", task.get_name())
        elif task.exception() is not None:
            logger.error("[GENERATION] %s crashed", task.get_name(), exc_info=task.exception())

    async def drain(self, seconds: float = 30.0) -> None:
        """Wait for running generations at shutdown, then interrupt those that are left."""
        if not self._tasks:
            return
        _, pending = await asyncio.wait(set(self._tasks), timeout=seconds)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)

    async def _process_generation(
        self, generation_id: str, user_id: str, generation_data: GenerationCreate, cost: int, started_at: float
    ) -> None:
        try:
            await self._update(generation_id, {"status": GenerationStatus.PROCESSING.value})
            logger.info("[GENERATION-PROCESSING] Submitting generation %s to FAL.ai", generation_id)
            fal_result = await fal_service.create_generation(
                model_id=generation_data.model_id,
                prompt=generation_data.prompt,
                negative_prompt=generation_data.negative_prompt,
                reference_image_url=(
                    str(generation_data.reference_image_url) if generation_data.reference_image_url else None
                ),
                num_outputs=generation_data.num_outputs,
                parameters=generation_data.parameters,
            )
            media_paths = [
                await self._store_output(url, user_id, generation_id, index)
                for index, url in enumerate(fal_result["urls"])
            ]
            seconds = elapsed_since(started_at)
            await self._update(
                generation_id,
                {
                    "status": GenerationStatus.COMPLETED.value,
                    "media_paths": media_paths,
                    "processing_seconds": seconds,
                    "completed_at": self._now(),
                },
            )
        except asyncio.CancelledError:
            await self._fail(generation_id, user_id, cost, "The generation was interrupted.")
            raise
        except Exception:
            logger.exception("[GENERATION-PROCESSING] Generation %s failed", generation_id)
            await self._fail(generation_id, user_id, cost, "The generation failed.")
            await webhook_service.notify("generation.failed", {"generation_id": generation_id})
        else:
            logger.info("[GENERATION-PROCESSING] Generation %s took %.1f s", generation_id, seconds)
            await webhook_service.notify("generation.completed", {"generation_id": generation_id})

    async def _store_output(self, url: str, user_id: str, generation_id: str, index: int) -> str:
        """Copy an output into the user's bucket. Retries with exponential backoff."""
        max_retries = 4
        retry_delay = 5  # seconds
        last_error: Optional[StorageError] = None

        for attempt in range(max_retries):
            if attempt:
                await asyncio.sleep(retry_delay)
            try:
                return await storage_service.store_from_url(url, user_id, generation_id, index)
            except StorageError as storage_error:
                logger.warning(
                    "[GENERATION-STORAGE] Attempt %d/%d for generation %s failed: %s",
                    attempt + 1, max_retries, generation_id, storage_error,
                )
                last_error = storage_error

        raise StorageError(f"Output {index} could not be stored") from last_error

    async def _fail(self, generation_id: str, user_id: str, cost: int, message: str) -> None:
        try:
            await credits_service.refund(user_id, cost, generation_id)
        except Exception:
            pass
        await self._update(
            generation_id,
            {"status": GenerationStatus.FAILED.value, "error_message": message, "completed_at": self._now()},
        )


generation_service = GenerationService()
