import asyncio

import pytest
from hidden_helpers import run_virtual, world  # noqa: F401


def test_an_answer_that_never_comes(world, monkeypatch):  # noqa: F811
    world.hang_on = lambda request: True

    async def main():
        await world.start()
        with pytest.raises(Exception) as caught:
            await world.fal_service.create_generation(model_id="fal-ai/flux/dev", prompt="a lighthouse")
        assert not isinstance(caught.value, asyncio.CancelledError)
        return asyncio.get_running_loop()._virtual.skipped

    assert run_virtual(main, monkeypatch) <= 2 * 3600


def test_normal_answer(world, monkeypatch):  # noqa: F811
    async def main():
        await world.start()
        return await world.fal_service.create_generation(model_id="fal-ai/flux/dev", prompt="a lighthouse")

    assert run_virtual(main, monkeypatch)["urls"] == ["https://fal.test/0.png"]
