"""Let a person edit the files of a fix in the editor of their choice."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from fixbot.agent.errors import FixbotError, UsageError
from fixbot.agent.review.desk import Desk
from fixbot.agent.review.fixes import Sides, sides
from fixbot.agent.review.session import Entry


def draft(desk: Desk, entry: Entry) -> dict[str, bytes]:
    """The files to edit: with the entry's fix, or, where it has none, the finding's file as it is."""
    changed = sides(desk.fixes, entry)
    path = entry.outcome.finding.path
    return {name: after for name, (_, after) in changed.items()} or {path: desk.fixes.read(path)}


def edit(desk: Desk, files: Mapping[str, bytes]) -> Sides:
    """Open files in $VISUAL or $EDITOR and wait. Returns those that differ from the base now. Raises UsageError."""
    command = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "")
    command = command or [found for name in ("sensible-editor", "vi", "nano") if (found := shutil.which(name))][:1]
    if not command:
        raise UsageError("there is no editor", "set EDITOR")
    with tempfile.TemporaryDirectory(prefix="fixbot-edit-") as folder:
        places: dict[str, Path] = {}
        for number, (path, data) in enumerate(files.items()):
            place = Path(folder, str(number), Path(path).name)
            place.parent.mkdir()
            place.write_bytes(data)
            places[path] = place
        try:
            done = subprocess.run([*command, *map(str, places.values())], check=False)
        except OSError as error:
            raise UsageError(f"the editor {command[0]} cannot be started: {error.strerror}", "set EDITOR") from None
        if done.returncode:
            raise UsageError(f"the editor ended with status {done.returncode}; nothing was changed")
        try:
            edited = {path: place.read_bytes() for path, place in places.items()}
        except OSError as error:
            raise UsageError(f"the edited file cannot be read: {error.strerror}") from None
    if edited == dict(files):
        raise UsageError("nothing was changed")
    changed = {path: (desk.fixes.read(path), data) for path, data in edited.items()}
    return {path: (old, new) for path, (old, new) in changed.items() if old != new}


def attempt(desk: Desk, files: Mapping[str, bytes]) -> Sides | FixbotError:
    """The same, with the error given back: one that is raised where the screen has given the terminal away leaves it dark."""
    try:
        return edit(desk, files)
    except FixbotError as error:
        return error
