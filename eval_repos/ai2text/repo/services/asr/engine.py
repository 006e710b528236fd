"""Whisper behind a small interface; the model is loaded with the first recording."""
from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from faster_whisper import WhisperModel


@dataclass(frozen=True)
class Segment:
    start: float
    end: float
    text: str


class Transcriber:
    def __init__(self, model_name: str, language: str, min_probability: float = -1.2) -> None:
        self.model_name = model_name
        self.language = language
        self.min_probability = min_probability
        self._model: WhisperModel | None = None
        self._lock = threading.Lock()

    def transcribe(self, audio: str | BinaryIO) -> list[Segment]:
        """Segments of a recording (a path or an open file) without those that the model itself doubts."""
        segments, _info = self._loaded().transcribe(audio, language=self.language, vad_filter=True)
        return [
            Segment(round(s.start, 2), round(s.end, 2), s.text)
            for s in segments
            if s.avg_logprob >= self.min_probability
        ]

    def _loaded(self) -> WhisperModel:
        with self._lock:
            if self._model is None:
                from faster_whisper import WhisperModel

                self._model = WhisperModel(self.model_name, compute_type="int8")
            return self._model
