"""Measuring a recording uses a file of its own, which is gone afterwards."""
import os

import pytest
from helpers import wav_bytes


def test_every_call_has_its_own_file(world):
    module = world.orchestrator()
    for key, seconds in (("a.wav", 1.0), ("b.wav", 0.5)):
        world.s3.objects["audio", key] = wav_bytes(seconds)
        assert module._wav_dur("audio", key) == pytest.approx(seconds)
    paths = world.s3.used_paths(".wav")
    assert len(set(paths)) == len(paths), "two recordings share a file"
    assert "/tmp/__dur.wav" not in paths
    assert not any(os.path.exists(path) for path in paths), "the file is left behind"


def test_file_is_removed_after_a_failure(world):
    module = world.orchestrator()
    world.s3.objects["audio", "broken.wav"] = b"no audio"
    with pytest.raises(Exception):
        module._wav_dur("audio", "broken.wav")
    assert not any(os.path.exists(path) for path in world.s3.used_paths("broken.wav"))
