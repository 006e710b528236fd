"""The Dockerfile as far as it can be read without an engine: nothing of root's, nothing fetched by address, no secret, all files there."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
KNOWN = {"ARG", "FROM", "ENV", "RUN", "WORKDIR", "COPY", "USER", "ENTRYPOINT", "CMD"}


def instructions() -> Iterator[tuple[str, str]]:
    """Name and rest of each instruction, continued lines joined."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text("utf-8"), flags=re.MULTILINE)
    for line in re.sub(r"\s*\\\n\s*", " ", text).splitlines():
        if line.strip():
            name, _, rest = line.partition(" ")
            yield name, rest


FOUND = list(instructions())
RUN = [rest for name, rest in FOUND if name == "RUN"]


def test_only_known_instructions_and_nothing_by_address() -> None:
    assert {name for name, _ in FOUND} <= KNOWN
    assert not re.search(r"https?://|\b(curl|wget|ADD|sudo)\b|--privileged", "\n".join(rest for _, rest in FOUND))
    assert not re.search(r"(?i)key|token|secret|password", "\n".join(rest for name, rest in FOUND if name in ("ARG", "ENV")))


def test_images_are_given_by_one_argument_with_a_version() -> None:
    assert re.fullmatch(r"PYTHON_IMAGE=python:3\.\d+-slim-\w+", FOUND[0][1])
    assert [rest.split()[0] for name, rest in FOUND if name == "FROM"] == ["${PYTHON_IMAGE}"] * 2


def test_the_last_stage_runs_fixbot_as_a_user_without_rights() -> None:
    last = FOUND[max(index for index, (name, _) in enumerate(FOUND) if name == "FROM") :]
    names = [name for name, _ in last]
    assert names.count("USER") == 1
    assert names.index("USER") > max(index for index, name in enumerate(names) if name in ("RUN", "COPY"))
    settings = dict(last)
    assert re.fullmatch(r"[1-9]\d{2,}:[1-9]\d{2,}", settings["USER"])
    assert json.loads(settings["ENTRYPOINT"]) == ["fixbot"]
    (install,) = (rest for name, rest in last if name == "RUN" and "apt-get" in rest)
    assert {"bubblewrap", "git", "--no-install-recommends"} <= set(install.split())
    assert install.endswith("rm -rf /var/lib/apt/lists/*")


def test_what_is_installed_is_locked() -> None:
    locked = {one["name"]: one["version"] for one in tomllib.loads((ROOT / "uv.lock").read_text("utf-8"))["package"]}
    assert ("ARG", f"UV_VERSION={locked['uv']}") in FOUND
    syncs = [command for command in RUN if command.startswith("uv sync")]
    assert len(syncs) == 2
    assert all("--locked" in command and "--no-default-groups" in command for command in syncs)
    assert [command for command in RUN if "pip install" in command and '"uv==${UV_VERSION}"' not in command] == []


def test_what_is_copied_is_there_and_not_ignored() -> None:
    copied = {source for name, rest in FOUND if name == "COPY" and "--from" not in rest for source in rest.split()[:-1]}
    assert copied == {"pyproject.toml", "uv.lock", "README.md", "LICENSE", "agent", "detectors", "patchers", "prompts"}
    assert all((ROOT / source).exists() for source in copied)
    rules = (ROOT / ".dockerignore").read_text("utf-8").split("\n")
    assert "*" in rules
    assert {rule[1:] for rule in rules if rule.startswith("!")} == copied
