"""watchfiles is declared exactly when it is used, and files of the hot folder are ingested."""
import ast
import asyncio
import os
import re
import time

from helpers import SERVICES, run_until, wav_bytes

FOLDER = SERVICES / "ingestion"


def imported() -> bool:
    for file in FOLDER.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            if any(name.split(".")[0] == "watchfiles" for name in names):
                return True
    return False


def declared() -> bool:
    lines = (FOLDER / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return any(re.match(r"\s*watchfiles\b", line, re.IGNORECASE) for line in lines)


def test_declared_exactly_when_used():
    assert declared() == imported()


def test_hot_folder_is_watched(world):
    module = world.ingestion()
    path = world.hot_folder / "interview.wav"

    def write() -> set:
        path.write_bytes(wav_bytes())
        an_hour_ago = time.time() - 3600
        os.utime(path, (an_hour_ago, an_hour_ago))
        return {(world.watchfiles.Change.added, str(path))}

    write()
    world.watchfiles.changes = write
    world.quick_sleep()
    asyncio.run(run_until(module.watch_local(), lambda: module.metadata.recordings))
    assert [recording["original_name"] for recording in module.metadata.recordings][:1] == ["interview.wav"]
