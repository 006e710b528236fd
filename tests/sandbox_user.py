"""Runs commands in a sandbox and prints the outcomes as JSON; started by test_sandbox.py, for an ordinary user or to be killed.

Usage: python sandbox_user.py RUNG ROOT SCRIPT [LIMIT=VALUE ...]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from fixbot.agent.sandbox.base import Command, Limits
from fixbot.agent.sandbox.choose import choose


def main() -> None:
    """Run one Python script."""
    rung, folder, script, *settings = sys.argv[1:]
    limits = Limits(**{name: int(value) for name, value in (setting.split("=") for setting in settings)})
    root = Path(folder)
    sandbox = choose(rung, root)
    outcome = sandbox.run(Command(["/usr/bin/python3", "-c", script], root, root, limits=limits))
    print(json.dumps([outcome.exit_code, outcome.limit, outcome.seconds, outcome.output]))


if __name__ == "__main__":
    main()
