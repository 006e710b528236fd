import sys
from types import ModuleType


def test_job_is_rendered_with_the_declared_moviepy(tools, load, monkeypatch, tmp_path):
    declared = tools.requirements("video_worker")
    assert "moviepy" in declared
    if not any(tools.allows(declared["moviepy"], version) for version in ("2.0.0", "2.1.1", "2.1.2", "2.2.1", "3.0.0")):
        current = load("moviepy")
        old, editor = ModuleType("moviepy"), ModuleType("moviepy.editor")
        editor.VideoFileClip, editor.concatenate_videoclips = current.VideoFileClip, current.concatenate_videoclips
        old.editor, old.__path__ = editor, []
        monkeypatch.setitem(sys.modules, "moviepy", old)
        monkeypatch.setitem(sys.modules, "moviepy.editor", editor)
    render = load("video_worker.render")
    job = render.Job("trip-1", "Trip", [tmp_path / "a.mp4", tmp_path / "b.mp4"], tmp_path / "trip.mp4")
    assert render.render(job) == tmp_path / "trip.mp4"
    assert (tmp_path / "trip.mp4").read_bytes() == b"film of 2 clips"
