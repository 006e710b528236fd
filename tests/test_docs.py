"""The documents say what is so."""

from __future__ import annotations

import re
from pathlib import Path

from conftest import RunFixbot

from fixbot.agent.config import REPOSITORY_KEYS
from fixbot.agent.result import Status
from fixbot.detectors.registry import all_rules

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text("utf-8")


def test_commands_of_the_readme_exist(fixbot: RunFixbot) -> None:
    commands = set(re.findall(r"fixbot (check|run|review|apply|report|rules|doctor|explain|eval)\b", README))
    assert commands >= {"check", "run", "apply", "report", "rules", "doctor"}
    overview = fixbot("--help").stdout
    for command in commands:
        assert f"\n  {command} " in overview
        assert fixbot(command, "--help").returncode == 0


def test_flags_of_the_readme_exist(fixbot: RunFixbot) -> None:
    helped = "".join(
        fixbot(command, "--help").stdout for command in ("check", "run", "deliver", "apply", "report", "eval", "review", "rules")
    )
    others = {"--help", "--stage", "--tag", "--rm", "--user", "--volume", "--build-arg", "--security-opt"}  # docker's and prek's
    for flag in set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", README)) - others:
        assert flag in helped, flag


def test_settings_and_statuses_are_the_real_ones() -> None:
    sentence = re.search(r"`\[tool\.fixbot\]` in `pyproject\.toml` may set (.*?)\. Everything", README, re.DOTALL)
    assert sentence
    assert set(re.findall(r"`([\w-]+)`", sentence[1])) == REPOSITORY_KEYS
    left = re.search(r"What is left over is listed with its reason: (.*?)\n\n", README, re.DOTALL)
    assert left
    assert set(re.findall(r"`([\w-]+)`", left[1])) <= {status.value for status in Status}


def test_every_rule_can_be_explained(fixbot: RunFixbot) -> None:
    listed = fixbot("rules", "--output-format", "concise").stdout.split()
    assert listed == list(all_rules())
    assert fixbot("explain", listed[0]).stdout.startswith(f"# {listed[0]}\n")


def test_the_paths_of_the_guide_exist() -> None:
    named = re.findall(r"`((?:detectors|patchers|tests)/[\w/.]+\.(?:py|md))`", CONTRIBUTING)
    assert named
    for path in named:
        assert (ROOT / path).exists(), path
