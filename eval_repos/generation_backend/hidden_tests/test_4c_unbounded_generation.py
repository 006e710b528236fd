import asyncio
import itertools

from hidden_helpers import USER_ID, run_virtual, world  # noqa: F401


def test_a_generation_that_never_ends_is_given_up(world, monkeypatch):  # noqa: F811
    monkeypatch.setenv("FAL_POLL_SECONDS", "30")
    from config import get_settings

    get_settings.cache_clear()
    world.fal.statuses = itertools.repeat("IN_PROGRESS")

    async def main():
        await world.start()
        created = await world.create()
        await asyncio.sleep(12 * 3600)
        return created.id

    generation_id = run_virtual(main, monkeypatch)
    get_settings.cache_clear()
    assert world.row(generation_id)["status"] == "failed"
    assert world.supabase.profile(USER_ID)["credits_balance"] == 100_000


def test_a_slow_generation_is_not(world, monkeypatch):  # noqa: F811
    world.fal.statuses = ["IN_QUEUE"] * 5 + ["IN_PROGRESS"] * 10

    async def main():
        await world.start()
        created = await world.create()
        await world.service.drain(10_000)
        return created.id

    assert world.row(run_virtual(main, monkeypatch))["status"] == "completed"
