"""Importing an object of the inbox uses a file of its own, which is gone afterwards."""
import asyncio
import os
import subprocess

from helpers import s3_error, wav_bytes


def test_every_import_has_its_own_file(world):
    module = world.ingestion()
    for key, seconds in (("partner/a.wav", 1.0), ("partner/b.wav", 0.5)):
        world.s3.objects["inbox", key] = wav_bytes(seconds)

    async def both():
        await asyncio.gather(module.handle_s3_object("partner/a.wav"), module.handle_s3_object("partner/b.wav"))

    asyncio.run(both())
    paths = world.s3.used_paths("partner/")
    assert len(set(paths)) == len(paths), "two imports share a file"
    assert "/tmp/__inbox_import" not in paths
    assert not any(os.path.exists(path) for path in paths), "the file is left behind"
    stored = sorted(data for (bucket, _), data in world.s3.objects.items() if bucket == "audio")
    assert stored == sorted([wav_bytes(1.0), wav_bytes(0.5)])
    assert world.s3.keys("inbox") == []


def test_file_is_removed_after_a_failure(world, monkeypatch):
    def run(command, **options):
        raise subprocess.CalledProcessError(1, command, stderr=b"Invalid data found")

    monkeypatch.setattr(subprocess, "run", run)
    module = world.ingestion()
    world.s3.objects["inbox", "partner/notes.txt"] = b"no audio"
    asyncio.run(module.handle_s3_object("partner/notes.txt"))
    assert world.s3.keys("inbox") == ["rejected/partner/notes.txt"]
    world.s3.failing["partner/secret.wav"] = s3_error("AccessDenied", "inbox", "partner/secret.wav")
    try:
        asyncio.run(module.handle_s3_object("partner/secret.wav"))
    except Exception as exc:
        assert "AccessDenied" in str(exc)
    assert not any(os.path.exists(path) for path in world.s3.used_paths("partner/"))
