"""Time in which Chromium opens the HTML report of a run with many findings, and in which its search answers.

    python tests/bench/report_page.py [COUNT]

Prints seconds from the start of navigation to a page that is loaded, painted and ready for input; machines are noisy.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from browser import launch
from report_samples import result

from fixbot.agent.report.html import html

READY = """
const done = arguments[0];
requestAnimationFrame(() => setTimeout(() => done(performance.now() / 1000)));
"""
SEARCH = """
const field = document.getElementById("search"), start = performance.now();
field.value = "number 77";
field.dispatchEvent(new Event("input", {bubbles: true}));
document.body.offsetHeight;
return (performance.now() - start) / 1000;
"""
OPEN = """
const start = performance.now();
document.getElementById("unfold").click();
document.body.offsetHeight;
return (performance.now() - start) / 1000;
"""


def main() -> None:
    """Measure and print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    start = time.perf_counter()
    text = html(result(count))
    made = time.perf_counter() - start
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        page.write_text(text, "utf-8")
        print(f"{count} findings, {len(text) / 1e6:.1f} MB, made in {made:.2f} s")
        with launch(Path(folder) / "profile") as driver:
            driver.get("about:blank")
            for number in range(3):
                driver.get(page.as_uri())
                print(f"open {number + 1}   {driver.execute_async_script(READY):.2f} s")
            for number in range(2):
                print(f"search {number + 1} {driver.execute_script(SEARCH):.2f} s")
            driver.get(page.as_uri())
            print(f"open all {driver.execute_script(OPEN):.2f} s")


if __name__ == "__main__":
    main()
