import sys
from types import ModuleType


def test_magic_is_declared_and_used(tools, load, monkeypatch):
    declared = tools.requirements()
    assert declared.keys() & {"python-magic", "python-magic-bin"}
    magic = ModuleType("magic")
    magic.from_buffer = lambda buffer, mime=False: "image/webp"
    monkeypatch.setitem(sys.modules, "magic", magic)
    assert load("app.input_validation").detect_mime(b"RIFF....WEBP", "a.bin") == "image/webp"
