import shutil
import sys
from pathlib import Path


def test_ffmpeg_of_imageio_when_the_system_has_none(load, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda *args, **options: None)
    assert str(load("fix_moviepy").find_ffmpeg()) == sys.executable  # what the stub of imageio_ffmpeg gives


def test_ffmpeg_of_the_system(load, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda *args, **options: "/usr/bin/ffmpeg")
    assert Path(load("fix_moviepy").find_ffmpeg()) == Path("/usr/bin/ffmpeg")
