"""What ``make demo`` runs: a copy of one of the evaluation repositories, made a git repository, and ``fixbot run`` on it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
AUTHOR = ("-c", "user.name=demo", "-c", "user.email=demo@example.com")


def main() -> int:
    """Copy, commit, run. The exit code is that of ``fixbot run``, except that findings left over are no failure here."""
    folder = ROOT / ".demo"
    shutil.rmtree(folder, ignore_errors=True)
    target = folder / "ai2text"
    shutil.copytree(ROOT / "eval_repos" / "ai2text" / "repo", target, ignore=shutil.ignore_patterns("__pycache__"))
    for command in (("init", "--quiet", "--initial-branch=main"), ("add", "--all"), (*AUTHOR, "commit", "--quiet", "--message=Import")):
        subprocess.run(["git", *command], cwd=target, check=True)
    python = Path(sys.executable)
    command = [python.parent / "fixbot", "run", target.relative_to(Path.cwd()) if target.is_relative_to(Path.cwd()) else target]
    print(f"$ fixbot run {command[-1]} --python {python.relative_to(ROOT)} --exit-zero", flush=True)
    code = subprocess.run([*command, "--python", python, "--exit-zero"], check=False).returncode
    print(f"\nThe copy is in {command[-1]}; fixbot is {python.parent.relative_to(ROOT)}/fixbot here.")
    return code


if __name__ == "__main__":
    sys.exit(main())
