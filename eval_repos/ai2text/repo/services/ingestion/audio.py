"""Conversion to what the recogniser wants: 16 kHz, mono, 16 bit WAV."""
import shutil
import subprocess
import wave

SAMPLE_RATE = 16_000
FFMPEG_TIMEOUT = 600


class ConversionError(Exception):
    """The file is no audio that ffmpeg can read."""


def to_wav(source: str, target: str) -> float:
    """Write `source` as WAV to `target`; returns the duration in seconds."""
    if is_ready(source):
        shutil.copyfile(source, target)
    else:
        _ffmpeg(source, target)
    with wave.open(target, "rb") as wav:
        return wav.getnframes() / SAMPLE_RATE


def is_ready(path: str) -> bool:
    try:
        with wave.open(path, "rb") as wav:
            return (wav.getframerate(), wav.getnchannels(), wav.getsampwidth()) == (SAMPLE_RATE, 1, 2)
    except (wave.Error, EOFError):
        return False


def _ffmpeg(source: str, target: str) -> None:
    command = ["ffmpeg", "-nostdin", "-loglevel", "error", "-y", "-i", source, "-ac", "1", "-ar", str(SAMPLE_RATE), target]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=FFMPEG_TIMEOUT)
    except subprocess.CalledProcessError as exc:
        raise ConversionError(exc.stderr.decode(errors="replace").strip()) from exc
    except subprocess.TimeoutExpired as exc:
        raise ConversionError(f"ffmpeg took more than {FFMPEG_TIMEOUT} s") from exc
