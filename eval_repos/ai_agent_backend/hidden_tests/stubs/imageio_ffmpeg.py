import sys

__version__ = "0.5.1"


def get_ffmpeg_exe():
    return sys.executable  # some file that exists


def get_ffmpeg_version():
    return "7.1"
