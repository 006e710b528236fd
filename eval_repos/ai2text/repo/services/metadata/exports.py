"""CSV exports in a folder; the web server only ever sees complete files."""
import csv
import os
import re
import tempfile
import time
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from pathlib import Path

VOLATILE = ("/tmp/", "/var/tmp/", "/dev/shm/")
MAX_AGE = 7 * 24 * 3600


class ExportStore:
    def __init__(self, folder: Path, max_age: float = MAX_AGE) -> None:
        self.folder = folder.resolve()
        self.max_age = max_age

    @property
    def survives_restart(self) -> bool:
        return not f"{self.folder}/".startswith(VOLATILE)

    def write(self, columns: tuple[str, ...], rows: Iterable[Mapping]) -> str:
        """Write the rows to a new file and return its name."""
        self.folder.mkdir(parents=True, exist_ok=True)
        fd, partial = tempfile.mkstemp(dir=self.folder, suffix=".part")
        try:
            with os.fdopen(fd, "w", encoding="utf-8", newline="") as fh:
                writer = csv.DictWriter(fh, columns, extrasaction="ignore")
                writer.writeheader()
                writer.writerows(rows)
            name = f"reviewed-{datetime.now(timezone.utc):%Y%m%dT%H%M%S%f}.csv"
            os.replace(partial, self.folder / name)
        except BaseException:
            os.unlink(partial)
            raise
        return name

    def find(self, name: str) -> Path | None:
        path = (self.folder / name).resolve()
        if not path.is_relative_to(self.folder) or path.suffix != ".csv" or not path.is_file():
            return None
        return path

    def remove_old(self) -> int:
        removed = 0
        for path in self.folder.glob("*.csv"):
            if time.time() - path.stat().st_mtime > self.max_age and re.match(r"reviewed-\d{8}T", path.name):
                path.unlink(missing_ok=True)
                removed += 1
        return removed
