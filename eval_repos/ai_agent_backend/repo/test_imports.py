"""Which of the packages in requirements.txt are installed: python test_imports.py"""

import re
import sys
from pathlib import Path

import pkg_resources

REQUIREMENTS = Path(__file__).with_name("requirements.txt")


def required_names(text: str) -> list[str]:
    lines = (line.split("#")[0].strip() for line in text.splitlines())
    return [re.split(r"[\[=<>~!; ]", line)[0] for line in lines if line and not line.startswith("-")]


def installed_version(name: str) -> str | None:
    try:
        return pkg_resources.get_distribution(name).version
    except pkg_resources.DistributionNotFound:
        return None


def main() -> int:
    missing = 0
    print(f"Python {sys.version.split()[0]}, path {sys.path[0]}")
    for name in required_names(REQUIREMENTS.read_text(encoding="utf-8")):
        version = installed_version(name)
        missing += version is None
        print(f"{name:24} {version or 'MISSING'}")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
