"""Debian's Chromium, driven through its own driver; nothing that it does on its own goes to the network."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def missing() -> str:
    """What is not installed, as a reason to skip; empty when all is there."""
    lacking = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    return f"not installed: {', '.join(lacking)} (apt-get install chromium chromium-driver)" if lacking else ""


@contextmanager
def launch(folder: Path) -> Generator[Any]:
    """A browser (selenium's ``Chrome``) with a profile of its own in ``folder``; it keeps the log of its console and of its requests."""
    options = ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in (*FLAGS, f"--user-data-dir={folder}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = Service(shutil.which("chromedriver"), env=os.environ | {"SE_OFFLINE": "true"})
    driver = Chrome(options, service)
    try:
        yield driver
    finally:
        driver.quit()
