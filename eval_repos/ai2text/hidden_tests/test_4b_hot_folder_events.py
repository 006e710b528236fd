"""The hot folder is watched through file system events, not by listing it again and again."""
import asyncio
import os
import time

from helpers import run_until, wav_bytes


def test_new_file_is_ingested_when_the_watcher_reports_it(world):
    module = world.ingestion()
    path = world.hot_folder / "interview.wav"
    other = world.hot_folder / "notes.txt"

    def appear() -> set:
        for file, data in ((path, wav_bytes(1.5)), (other, b"no audio")):
            file.write_bytes(data)
            an_hour_ago = time.time() - 3600
            os.utime(file, (an_hour_ago, an_hour_ago))
        added = world.watchfiles.Change.added
        return {(added, str(path)), (added, str(other))}

    world.watchfiles.changes = appear
    world.quick_sleep()
    asyncio.run(run_until(module.watch_local(), lambda: module.metadata.recordings))
    assert world.watchfiles.started, "file system events are not used"
    assert [recording["original_name"] for recording in module.metadata.recordings] == ["interview.wav"]
    assert wav_bytes(1.5) in world.s3.objects.values()
    assert other.exists()
