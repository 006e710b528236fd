"""OpenRouter client for draft generation and scoring."""

import asyncio
import logging
import random
from dataclasses import dataclass
from typing import Any

import httpx

from app.config import Settings
from app.inference.router import get_model
from app.utils.errors import AppError, ErrorCode

logger = logging.getLogger(__name__)

OPENROUTER_URL = "https://openrouter.ai/api/v1/chat/completions"
REQUEST_TIMEOUT = httpx.Timeout(60.0, connect=10.0)
MAX_ATTEMPTS = 3
RETRY_STATUS = {408, 429, 500, 502, 503, 504}


@dataclass(frozen=True)
class InferenceResult:
    """Text of a completion and what it took."""

    text: str
    model: str
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


def backoff_seconds(attempt: int) -> float:
    """Exponential delay with full jitter: up to 1, 2, 4, ... seconds."""
    return random.uniform(0, 2**attempt)


class InferenceClient:
    """One completion at a time, with retries on transient failures."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    async def complete(
        self,
        task: str,
        messages: list[dict[str, str]],
        temperature: float = 0.7,
        max_tokens: int = 1200,
    ) -> InferenceResult:
        """Run a chat completion with the model that is routed for the task.

        Args:
            task: routing key, e.g. "generate_draft"
            messages: chat messages in OpenAI format
            temperature: sampling temperature
            max_tokens: upper bound of the completion's length

        Raises:
            AppError: INFERENCE_FAILED after the last attempt
        """
        model = get_model(task)
        payload = {
            "model": model,
            "messages": messages,
            "temperature": temperature,
            "max_tokens": max_tokens,
        }
        response = await self._post_with_retry(payload)
        return self._parse_response(model, response)

    async def _post_with_retry(self, payload: dict[str, Any]) -> httpx.Response:
        headers = {
            "Authorization": f"Bearer {self.settings.openrouter_api_key}",
            "X-Title": "BC-RAO",
        }
        last_error: Exception | None = None
        async with httpx.AsyncClient(timeout=REQUEST_TIMEOUT) as client:
            for attempt in range(MAX_ATTEMPTS):
                try:
                    response = await client.post(
                        OPENROUTER_URL, json=payload, headers=headers
                    )
                    if response.status_code not in RETRY_STATUS:
                        response.raise_for_status()
                        return response
                    last_error = httpx.HTTPStatusError(
                        f"status {response.status_code}",
                        request=response.request,
                        response=response,
                    )
                except httpx.TransportError as e:
                    last_error = e
                except httpx.HTTPStatusError as e:
                    logger.error("OpenRouter refused the request: %s", e)
                    raise AppError(
                        code=ErrorCode.INFERENCE_FAILED,
                        message="The model provider refused the request",
                        status_code=502,
                    ) from e
                logger.warning(
                    "OpenRouter attempt %d of %d failed: %s",
                    attempt + 1,
                    MAX_ATTEMPTS,
                    last_error,
                )
                if attempt + 1 < MAX_ATTEMPTS:
                    await asyncio.sleep(backoff_seconds(attempt))

        raise AppError(
            code=ErrorCode.INFERENCE_FAILED,
            message="The model provider is not reachable",
            status_code=502,
        ) from last_error

    def _parse_response(self, model: str, response: httpx.Response) -> InferenceResult:
        """Turn an OpenRouter answer into a result.

        Args:
            model: the model that was asked for

        Raises:
            AppError: INFERENCE_FAILED when the answer has no text
        """
        payload = response.json()
        choices = payload.get("choices") or []
        if not choices:
            logger.error("OpenRouter answered without choices: %s", payload.get("error"))
            raise AppError(
                code=ErrorCode.INFERENCE_FAILED,
                message="The model returned no text",
                status_code=502,
            )
        text = (choices[0]["message"].get("content") or "").strip()
        if not text:
            raise AppError(
                code=ErrorCode.INFERENCE_FAILED,
                message="The model returned no text",
                status_code=502,
            )

        usage = payload.get("usage") or {}
        prompt_tokens = int(usage.get("prompt_tokens", 0))
        completion_tokens = int(usage.get("completion_tokens", 0))
        cost_usd = self._estimate_cost(model, prompt_tokens, completion_tokens)
        return InferenceResult(
            text=text,
            # OpenRouter may answer from another model of the same family
            model=payload.get("model", model),
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens,
            cost_usd=cost_usd,
        )

    def _estimate_cost(
        self,
        model: str,
        prompt_tokens: int,
        completion_tokens: int,
    ) -> float:
        """Cost of a completion in US dollars."""
        # This is a simplified calculation - in production, parse from OpenRouter response
        pricing = {
            "anthropic/claude-3.5-sonnet": (3.00, 15.00),
            "google/gemini-flash-1.5": (0.075, 0.30),
            "openai/gpt-4o-mini": (0.15, 0.60),
        }
        # US dollars per million tokens: prompt, completion
        prompt_price, completion_price = pricing.get(
            model,
            (1.00, 3.00),
        )
        cost = (
            prompt_tokens * prompt_price
            + completion_tokens * completion_price
        ) / 1_000_000

        return round(cost, 6)
