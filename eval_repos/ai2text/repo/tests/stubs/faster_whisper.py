"""Stands in for faster-whisper, which needs a model download."""
from types import SimpleNamespace


class WhisperModel:
    segments = [SimpleNamespace(start=0.0, end=1.004, text=" xin chào ", avg_logprob=-0.2)]
    heard: list[bytes] = []

    def __init__(self, name, **options):
        self.name = name

    def transcribe(self, audio, language=None, **options):
        if isinstance(audio, (str, bytes)) or hasattr(audio, "__fspath__"):
            with open(audio, "rb") as fh:
                self.heard.append(fh.read())
        else:
            self.heard.append(audio.read())
        return iter(self.segments), SimpleNamespace(language=language)
