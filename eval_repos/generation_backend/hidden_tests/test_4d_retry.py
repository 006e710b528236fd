import httpx
from hidden_helpers import USER_ID, run_virtual, world  # noqa: F401


def generate(world, monkeypatch):  # noqa: F811
    async def main():
        await world.start()
        created = await world.create()
        await world.service.drain(100_000)
        return created.id

    return world.row(run_virtual(main, monkeypatch))


def test_one_hiccup_does_not_fail_a_generation(world, monkeypatch):  # noqa: F811
    world.fal.submit_errors = [httpx.ConnectError("connection reset")]
    assert generate(world, monkeypatch)["status"] == "completed"
    assert len(world.fal.submits) == 2
    assert world.supabase.profile(USER_ID)["credits_balance"] == 100_000 - 3


def test_retries_end(world, monkeypatch):  # noqa: F811
    world.fal.submit_errors = [httpx.ConnectError("connection reset") for _ in range(10_000)]
    assert generate(world, monkeypatch)["status"] == "failed"
    assert 2 <= len(world.fal.submits) <= 20
    assert world.supabase.profile(USER_ID)["credits_balance"] == 100_000
