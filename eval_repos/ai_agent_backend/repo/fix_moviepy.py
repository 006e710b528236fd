"""Make sure that moviepy finds an ffmpeg binary: python fix_moviepy.py"""

import shutil
import subprocess
import sys

import imageio


def find_ffmpeg() -> str:
    """The system's ffmpeg, else the one that imageio brings along."""
    system = shutil.which("ffmpeg")
    if system is not None:
        return system
    return imageio.plugins.ffmpeg.download()


def ffmpeg_version(binary: str) -> str:
    answer = subprocess.run([binary, "-version"], capture_output=True, text=True, check=True, timeout=20)
    return answer.stdout.partition("\n")[0]


def main() -> int:
    binary = find_ffmpeg()
    print(f"{binary}: {ffmpeg_version(binary)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
