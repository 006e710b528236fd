import asyncio

import pytest

from conftest import USER_ID
from database import db
from errors import GenerationNotFoundError, InsufficientCreditsError, InvalidParameterError, UnknownModelError
from models.generation import GenerationCreate
from services.generation_service import GenerationService


def request(**values):
    return GenerationCreate(**{"model_id": "fal-ai/flux/dev", "prompt": "a lighthouse at dusk", **values})


def run(supabase, **values):
    """Create one generation and work on it until it is done."""

    async def main():
        service = GenerationService(db)
        created = await service.create_generation(USER_ID, request(**values))
        await service.drain()
        return await service.get_generation(USER_ID, created.id)

    return asyncio.run(main())


def test_finished_generation(supabase, fal, outputs):
    fal.outputs = 2
    generation = run(supabase, num_outputs=2, parameters={"seed": 7})
    assert generation.status == "completed"
    assert generation.processing_seconds is not None
    assert sorted(supabase.files) == [f"{USER_ID}/{generation.id}/{index}.png" for index in (0, 1)]
    assert supabase.profile(USER_ID)["credits_balance"] == 94
    assert len(fal.submits) == 1


def test_video(supabase, fal, outputs):
    generation = run(
        supabase, model_id="fal-ai/kling-video/v1.6/standard/text-to-video", negative_prompt="blur",
        reference_image_url="https://images.test/start.png",
    )
    assert generation.media_paths == [f"{USER_ID}/{generation.id}/0.mp4"]


def test_failure_gives_the_credits_back(supabase, fal, outputs, no_waiting):
    fal.statuses = ["IN_QUEUE", "CANCELLED"]
    generation = run(supabase)
    assert generation.status == "failed"
    assert "CANCELLED" not in generation.error_message
    assert supabase.profile(USER_ID)["credits_balance"] == 100


def test_no_outputs_is_a_failure(supabase, fal, outputs, no_waiting):
    fal.outputs = 0
    assert run(supabase).status == "failed"


def test_upload_is_tried_again(supabase, fal, outputs, no_waiting):
    supabase.failing_uploads = 2
    assert run(supabase).status == "completed"
    assert supabase.uploads_tried == 3


def test_upload_that_keeps_failing(supabase, fal, outputs, no_waiting):
    supabase.failing_uploads = 100
    assert run(supabase).status == "failed"
    assert supabase.files == {}


def test_failed_even_when_the_refund_fails(supabase, fal, outputs, no_waiting):
    fal.statuses = ["CANCELLED"]
    supabase.rpc_errors["refund_credits"] = ConnectionError("database is restarting")
    assert run(supabase).status == "failed"


def test_interrupted_at_shutdown(supabase, fal, outputs, monkeypatch):
    async def main():
        service = GenerationService(db)
        created = await service.create_generation(USER_ID, request())
        await service.drain(seconds=0)
        await service.drain()
        return await service.get_generation(USER_ID, created.id)

    generation = asyncio.run(main())
    assert generation.status in ("failed", "pending")
    assert not supabase.files


@pytest.mark.parametrize(
    "values, error",
    [
        ({"model_id": "fal-ai/nothing"}, UnknownModelError),
        ({"parameters": {"webhook": "https://evil.test"}}, InvalidParameterError),
        ({"model_id": "fal-ai/kling-video/v1.6/standard/text-to-video", "num_outputs": 2}, InvalidParameterError),
    ],
)
def test_rejected_requests(supabase, fal, values, error):
    with pytest.raises(error):
        run(supabase, **values)
    assert supabase.profile(USER_ID)["credits_balance"] == 100


def test_insufficient_credits(supabase, fal):
    supabase.profile(USER_ID)["credits_balance"] = 2
    with pytest.raises(InsufficientCreditsError):
        run(supabase)


def test_unknown_generation(supabase):
    with pytest.raises(GenerationNotFoundError):
        asyncio.run(GenerationService(db).get_generation(USER_ID, "00000000-0000-0000-0000-000000000000"))
