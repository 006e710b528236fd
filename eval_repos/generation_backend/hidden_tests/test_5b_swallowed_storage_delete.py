import asyncio
import logging

from hidden_helpers import world  # noqa: F401


def test_files_that_cannot_be_deleted_leave_a_trace(world, capfd):  # noqa: F811
    from services.storage_service import storage_service

    world.supabase.files.update({"a": b"", "b": b""})
    world.supabase.stuck_files.add("a")
    removed = asyncio.run(storage_service.delete_files(["a", "b"]))
    assert removed == 1
    assert list(world.supabase.files) == ["a"], "the other files are still removed"
    written = capfd.readouterr()
    serious = [record for record in world.logs.records if record.levelno >= logging.WARNING]
    assert serious or written.err or written.out
    assert "bucket is down" in world.logs.text() + written.out + written.err
