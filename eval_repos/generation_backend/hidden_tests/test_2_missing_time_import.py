import asyncio

import pytest
from hidden_helpers import USER_ID, World


@pytest.fixture
def plain_world(monkeypatch):
    world = World(monkeypatch)
    yield world
    world.close()


def test_a_generation_can_be_created(plain_world):
    world = plain_world

    async def main():
        await world.start()
        world.fal.statuses = []
        created = await world.create(num_outputs=2)
        await world.service.drain()
        await world.fal_service.close()
        return created

    created = asyncio.run(main())
    row = world.row(created.id)
    assert row["status"] == "completed"
    assert 0 <= row["processing_seconds"] < 60
    assert world.supabase.profile(USER_ID)["credits_balance"] == 100_000 - 6
