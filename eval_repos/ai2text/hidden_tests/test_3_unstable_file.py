"""A file that is still being written is left alone; it is ingested when it is complete."""
import asyncio
import os
import time

from helpers import wav_bytes

COMPLETE = wav_bytes(4.0)


def test_growing_file_is_ingested_when_it_is_complete(world):
    module = world.ingestion()
    path = world.hot_folder / "interview.wav"
    position = 20_000
    path.write_bytes(COMPLETE[:position])
    writing = True

    def more(_delay):
        nonlocal position
        if writing and path.exists():
            with path.open("ab") as fh:
                fh.write(COMPLETE[position : position + 16])
            position += 16

    world.quick_sleep(more)
    asyncio.run(module.scan_hot_folder())
    more(0)
    asyncio.run(module.scan_hot_folder())
    assert list(world.s3.objects.values()) == [], "a file that was still being written has been ingested"
    assert path.exists()
    assert position < len(COMPLETE)

    writing = False
    path.write_bytes(COMPLETE)
    an_hour_ago = time.time() - 3600
    os.utime(path, (an_hour_ago, an_hour_ago))
    for _ in range(4):
        asyncio.run(module.scan_hot_folder())
    assert list(world.s3.objects.values()) == [COMPLETE]
    assert [recording["original_name"] for recording in module.metadata.recordings] == ["interview.wav"]
    assert not path.exists()


def test_one_growing_file_does_not_hold_up_the_others(world):
    module = world.ingestion()
    growing = world.hot_folder / "a-growing.wav"
    growing.write_bytes(COMPLETE[:1000])
    complete = world.hot_folder / "b-complete.wav"
    complete.write_bytes(COMPLETE)
    an_hour_ago = time.time() - 3600
    os.utime(complete, (an_hour_ago, an_hour_ago))

    def more(_delay):
        if growing.exists():
            with growing.open("ab") as fh:
                fh.write(b"\1\2")

    world.quick_sleep(more)
    for _ in range(4):
        asyncio.run(module.scan_hot_folder())
        more(0)
    assert [recording["original_name"] for recording in module.metadata.recordings] == ["b-complete.wav"]
