"""Cost of a scan against ``ast.parse`` alone and pyflakes over the same files, in CPU seconds of the whole process and its children.

    python tests/bench/scan.py FOLDER [--big FOLDER]

FOLDER is a tree of Python files, e.g. an unpacked Django; ``--big`` a tree whose peak memory is measured. Prints ratios of one run:
machines are noisy, absolute figures mean little.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

PARSE = """
import ast, sys, warnings
warnings.simplefilter("ignore")
for path in sys.stdin.read().split("\\0"):
    try:
        with open(path, "rb") as file:
            ast.parse(file.read())
    except (SyntaxError, ValueError):
        pass
"""
FIXBOT = str(Path(sys.executable).with_name("fixbot"))


def cost(command: list[str], text: str = "", env: dict[str, str] | None = None) -> tuple[float, float]:
    """CPU seconds of a command with its children, and its peak memory in MiB."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        subprocess.run(command, input=text, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env, check=False)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        os.write(writer, f"{used.ru_utime + used.ru_stime} {used.ru_maxrss / 1024}".encode())
        os._exit(0)
    os.close(writer)
    with open(reader) as answer:
        seconds, memory = map(float, answer.read().split())
    os.waitpid(child, 0)
    return seconds, memory


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--big", type=Path)
    options = parser.parse_args()
    files = [str(path) for path in options.folder.rglob("*.py")]
    lines = sum(Path(path).read_bytes().count(b"\n") for path in files)
    with tempfile.TemporaryDirectory() as state:
        env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | {"FIXBOT_STATE_DIR": state}
        cost([FIXBOT, "rules"], env=env)  # compiles the modules, as the first start after an installation does
        check = [FIXBOT, "check", str(options.folder), "--output-format", "json", "--quiet", "-j", "1"]
        parse, _ = cost([sys.executable, "-c", PARSE], "\0".join(files))
        cold, memory = cost(check, env=env)
        warm, _ = cost(check, env=env)
        flakes, _ = cost([sys.executable, "-m", "pyflakes", str(options.folder)])
        start, _ = cost([FIXBOT, "--help"], env=env)
        print(f"{len(files)} files, {lines} lines")
        print(f"cold / ast.parse   {cold / parse:.2f}   ({cold:.2f} s / {parse:.2f} s)")
        print(f"cold / pyflakes    {cold / flakes:.2f}   ({flakes:.2f} s)")
        print(f"warm / cold        {warm / cold:.2f}   ({warm:.2f} s)")
        print(f"--help             {start:.2f} s")
        print(f"peak memory        {memory:.0f} MiB")
        if options.big:
            seconds, memory = cost([*check[:2], str(options.big), *check[3:]], env=env)
            print(f"big tree           {memory:.0f} MiB, {seconds:.1f} s")


if __name__ == "__main__":
    main()
