import httpx
from hidden_helpers import run_virtual, world  # noqa: F401


def test_calls_stop_while_fal_is_down_and_resume(world, monkeypatch):  # noqa: F811
    async def attempt():
        """One generation from request to end: its final status, or "refused"."""
        try:
            created = await world.create()
        except Exception:
            return "refused"
        await world.service.drain(100_000)
        return world.row(created.id)["status"]

    async def main():
        import asyncio

        await world.start()
        world.fal.statuses = []
        world.fal.submit_errors = [httpx.ConnectError("refused") for _ in range(100_000)]
        for _ in range(30):
            assert await attempt() in ("failed", "refused")
        before = world.fal_calls
        for _ in range(5):
            assert await attempt() in ("failed", "refused")
        while_open = world.fal_calls - before

        world.fal.submit_errors.clear()
        await asyncio.sleep(24 * 3600)
        after = [await attempt() for _ in range(3)]
        return while_open, after

    while_open, after = run_virtual(main, monkeypatch)
    assert while_open <= 3, "FAL.ai is called for every request although it has been failing all the time"
    assert after[-1] == "completed", "no recovery"
    balance = world.supabase.tables["profiles"][0]["credits_balance"]
    assert balance == 100_000 - 3 * after.count("completed"), "failed generations are paid back"
