"""Stands in for watchfiles: reports what is in the folder at the start, then nothing more."""
import asyncio
import os
from enum import IntEnum


class Change(IntEnum):
    added = 1
    modified = 2
    deleted = 3


async def awatch(*paths, **options):
    found = {
        (Change.added, os.path.join(folder, name))
        for path in paths
        for folder, _, names in os.walk(path)
        for name in names
    }
    if found:
        yield found
    await asyncio.Event().wait()
