import logging

from hidden_helpers import run_virtual, world  # noqa: F401


def test_a_failed_refund_leaves_a_trace(world, monkeypatch, capfd):  # noqa: F811
    world.fal.statuses = ["CANCELLED"] * 3
    world.supabase.rpc_errors["refund_credits"] = ConnectionError("ledger-7 is restarting")

    async def main():
        await world.start()
        created = await world.create()
        await world.service.drain(100_000)
        return created.id

    generation_id = run_virtual(main, monkeypatch)
    assert world.row(generation_id)["status"] == "failed"
    written = capfd.readouterr()
    serious = [record for record in world.logs.records if record.levelno >= logging.WARNING]
    text = world.logs.text() + written.out + written.err
    assert serious and "ledger-7" in text
