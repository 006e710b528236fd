"""Client of the queue API of FAL.ai."""
import asyncio
import logging
from dataclasses import dataclass
from typing import Any, Dict, FrozenSet, List, Optional

import httpx

from config import Settings, get_settings
from errors import FalServiceError, InvalidParameterError, UnknownModelError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FalModel:
    id: str
    name: str
    kind: str
    credits: int
    parameters: FrozenSet[str]


MODELS: Dict[str, FalModel] = {
    model.id: model
    for model in (
        FalModel("fal-ai/flux/dev", "FLUX.1 [dev]", "image", 3,
                 frozenset({"image_size", "guidance_scale", "num_inference_steps", "seed"})),
        FalModel("fal-ai/flux-pro/v1.1", "FLUX 1.1 [pro]", "image", 8, frozenset({"image_size", "seed"})),
        FalModel("fal-ai/recraft-v3", "Recraft V3", "image", 6, frozenset({"image_size", "style"})),
        FalModel("fal-ai/kling-video/v1.6/standard/text-to-video", "Kling 1.6", "video", 40,
                 frozenset({"duration", "aspect_ratio"})),
    )
}


class FalService:
    def __init__(self) -> None:
        self._client: Optional[httpx.AsyncClient] = None

    async def start(self, settings: Settings) -> None:
        self._client = httpx.AsyncClient(
            base_url=settings.fal_queue_url,
            headers={"Authorization": f"Key {settings.fal_key}"},
            timeout=None,
        )

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def _require_client(self) -> httpx.AsyncClient:
        if self._client is None:
            raise FalServiceError("FAL client is not started")
        return self._client

    def get_supported_models(self) -> List[FalModel]:
        return sorted(MODELS.values(), key=lambda model: (model.kind, model.credits))

    def get_model(self, model_id: str) -> FalModel:
        try:
            return MODELS[model_id]
        except KeyError:
            raise UnknownModelError(model_id) from None

    def check_parameters(self, model: FalModel, parameters: Dict[str, Any], num_outputs: int) -> None:
        if model.kind == "video" and num_outputs != 1:
            raise InvalidParameterError(f"{model.name} makes one video at a time.")
        unknown = sorted(set(parameters) - model.parameters)
        if unknown:
            raise InvalidParameterError(f"{model.name} does not support: {', '.join(unknown)}")

    async def _submit(self, model: FalModel, arguments: Dict[str, Any]) -> str:
        response = await self._require_client().post(f"/{model.id}", json=arguments)
        response.raise_for_status()
        return response.json()["request_id"]

    async def _status(self, model: FalModel, request_id: str) -> str:
        response = await self._require_client().get(f"/{model.id}/requests/{request_id}/status")
        response.raise_for_status()
        return response.json()["status"]

    async def _result(self, model: FalModel, request_id: str) -> Dict[str, Any]:
        response = await self._require_client().get(f"/{model.id}/requests/{request_id}")
        response.raise_for_status()
        return response.json()

    async def _wait(self, model: FalModel, request_id: str) -> None:
        poll_interval = get_settings().fal_poll_seconds
        while True:
            status = await self._status(model, request_id)
            if status == "COMPLETED":
                return
            if status not in ("IN_QUEUE", "IN_PROGRESS"):
                raise FalServiceError(f"FAL request {request_id} ended as {status}")
            await asyncio.sleep(poll_interval)

    @staticmethod
    def _output_urls(model: FalModel, result: Dict[str, Any]) -> List[str]:
        if model.kind == "video":
            video = result.get("video")
            return [video["url"]] if video else []
        return [image["url"] for image in result.get("images", [])]

    async def create_generation(
        self,
        model_id: str,
        prompt: str,
        negative_prompt: Optional[str] = None,
        reference_image_url: Optional[str] = None,
        num_outputs: int = 1,
        parameters: Optional[Dict[str, Any]] = None,
    ) -> Dict[str, Any]:
        """Run one request to its end: {"request_id": ..., "urls": [...]}."""
        model = self.get_model(model_id)
        arguments: Dict[str, Any] = {**(parameters or {}), "prompt": prompt}
        if negative_prompt:
            arguments["negative_prompt"] = negative_prompt
        if reference_image_url:
            arguments["image_url"] = reference_image_url
        if model.kind == "image":
            arguments["num_images"] = num_outputs

        try:
            request_id = await self._submit(model, arguments)
            await self._wait(model, request_id)
            result = await self._result(model, request_id)
        except httpx.HTTPError as error:
            raise FalServiceError(f"FAL request failed: {type(error).__name__}") from error

        urls = self._output_urls(model, result)
        if not urls:
            raise FalServiceError(f"FAL request {request_id} returned no outputs")
        return {"request_id": request_id, "urls": urls}


fal_service = FalService()
