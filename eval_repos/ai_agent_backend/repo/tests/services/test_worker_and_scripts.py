import json
import subprocess

import pytest

import fix_moviepy
import install_all_dependencies
import test_imports
from video_worker import render


@pytest.fixture
def job_file(tmp_path):
    path = tmp_path / "job.json"
    job = {"id": "trip-1", "title": "Trip", "clips": ["/media/a.mp4", "/media/b.mp4"], "output": str(tmp_path / "trip.mp4")}
    path.write_text(json.dumps(job))
    return path


def test_job_is_rendered_and_removed(job_file, tmp_path):
    assert render.main([str(job_file)]) == 0
    assert (tmp_path / "trip.mp4").read_bytes() == b"film of 2 clips"
    assert [path.name for path in tmp_path.iterdir()] == ["trip.mp4"]


def test_bad_job_stays(job_file):
    for text in ("{", "{}", "[]", '{"id": "a", "title": "A", "clips": [], "output": "a.mp4"}'):
        job_file.write_text(text)
        assert render.main([str(job_file)]) == 2
        assert job_file.exists()


def test_ffmpeg_of_the_system_comes_first(monkeypatch):
    monkeypatch.setattr(fix_moviepy.shutil, "which", lambda name: "/usr/bin/ffmpeg")
    assert fix_moviepy.find_ffmpeg() == "/usr/bin/ffmpeg"


def test_ffmpeg_of_imageio(monkeypatch, capsys):
    answer = subprocess.CompletedProcess([], 0, stdout="ffmpeg version 7.1\nbuilt with gcc")
    monkeypatch.setattr(fix_moviepy.shutil, "which", lambda name: None)
    monkeypatch.setattr(subprocess, "run", lambda command, **options: answer)
    assert fix_moviepy.main() == 0
    assert "ffmpeg version 7.1" in capsys.readouterr().out


def test_outdated_packages():
    pins = install_all_dependencies.pinned("fastapi==0.1  # old\npasslib[bcrypt]==1.7.4\n-r other.txt\nhttpx==9999.0\n")
    assert pins == {"fastapi": "0.1", "passlib": "1.7.4", "httpx": "9999.0"}
    assert not install_all_dependencies.is_older("0.10.0", "0.9.1")
    lines = install_all_dependencies.outdated(pins | {"no-such-package": "1.0"})
    assert [line.split(":")[0] for line in lines if "fastapi" not in line] == ["passlib", "httpx", "no-such-package"]


def test_installed_packages(capsys):
    assert test_imports.required_names("# web\nfastapi==0.1\npasslib[bcrypt]>=1\n-r more.txt\n") == ["fastapi", "passlib"]
    assert test_imports.installed_version("httpx")[0].isdigit()
    assert test_imports.installed_version("no-such-package") is None
    test_imports.main()
    assert "MISSING" in capsys.readouterr().out
