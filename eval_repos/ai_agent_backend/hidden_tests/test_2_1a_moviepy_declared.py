import sys
from pathlib import Path
from types import ModuleType


def test_moviepy_is_declared_and_used(tools, load, monkeypatch):
    declared = tools.requirements()
    assert "moviepy" in declared
    if not any(tools.allows(declared["moviepy"], version) for version in ("2.0.0", "2.1.1", "2.1.2", "2.2.1", "3.0.0")):
        # moviepy 1 has its classes in moviepy.editor only
        current = load("moviepy")
        old, editor = ModuleType("moviepy"), ModuleType("moviepy.editor")
        editor.VideoFileClip = current.VideoFileClip
        old.editor, old.__path__ = editor, []
        monkeypatch.setitem(sys.modules, "moviepy", old)
        monkeypatch.setitem(sys.modules, "moviepy.editor", editor)
    assert load("app.video_generator").probe_duration(Path("clip.mp4")) == 12.5
