"""Install what requirements.txt and requirements-optional.txt name, or show what is older: python install_all_dependencies.py [--dry-run]"""

import argparse
import subprocess
import sys
from distutils.version import LooseVersion
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parent
FILES = ("requirements.txt", "requirements-optional.txt")


def pinned(text: str) -> dict[str, str]:
    pins = {}
    for line in text.splitlines():
        name, separator, version = line.split("#")[0].strip().partition("==")
        if separator:
            pins[name.split("[")[0].strip()] = version.strip()
    return pins


def is_older(installed: str, wanted: str) -> bool:
    return LooseVersion(installed) < LooseVersion(wanted)


def outdated(pins: dict[str, str]) -> list[str]:
    found = []
    for name, wanted in pins.items():
        try:
            installed = metadata.version(name)
        except metadata.PackageNotFoundError:
            found.append(f"{name}: not installed, {wanted} wanted")
            continue
        if is_older(installed, wanted):
            found.append(f"{name}: {installed} installed, {wanted} wanted")
    return found


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dry-run", action="store_true")
    options = parser.parse_args(arguments)
    for name in FILES:
        path = ROOT / name
        for line in outdated(pinned(path.read_text(encoding="utf-8"))):
            print(line)
        if not options.dry_run:
            subprocess.run([sys.executable, "-m", "pip", "install", "-r", str(path)], check=True, timeout=1800)
    return 0


if __name__ == "__main__":
    sys.exit(main())
