"""The HTML report in a real browser: it loads nothing, obeys its own policy, can be used by everybody, and no text in it does anything."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time
from collections.abc import Generator
from contextlib import closing
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
from browser import launch, missing
from conftest import RunFixbot
from report_samples import DIFF, hostile, result
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.common.by import By

from fixbot.agent.report.diffs import Kind, rows
from fixbot.agent.report.html import html
from fixbot.agent.report.text import clean
from fixbot.agent.result import RunResult
from fixbot.agent.store import Ledger, RunRecord

in_browser = pytest.mark.skipif(bool(missing()), reason=missing() or "all is there")
HOSTILE = (
    "<script>document.title='owned'</script>",
    "</script></style></title></textarea><script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\"><svg onload=\"document.title='owned'\">",
    "\"><iframe src='javascript:parent.document.title=1'></iframe><a href='javascript:alert(1)' autofocus onfocus=alert(1)>x</a>",
    "{{ 7*191 }}{% for x in y %}${7*191}<%= 7*191 %>#{7*191}",
    "javascript:document.title='owned'",
    "\x1b[31mred\x1b]8;;http://e.example\x07link\x9b1m \u202eover\u2066\u200b\U000e0041\u3164\x00\x85\u2028\udcff end",
    "<!--><!doctype html><base href='http://e.example/'><meta http-equiv=refresh content='0;url=http://e.example/'>",
    "<link rel=stylesheet href=//e.example><form action=//e.example><button autofocus>",
    "' onmouseover=alert(1) style=background:url(http://e.example/) data-x='&lt;b&gt;&amp;&#60;",
    "::error::x\n##[add-mask]y\n ::stop-commands::z",
    "`<b>`odd`</code>",
)


class Page:
    """The browser with one report in it."""

    def __init__(self, driver: Any, folder: Path) -> None:
        self.driver = driver
        self._file = folder / "report.html"

    def show(self, run: RunResult, width: int = 1200, *, scheme: str = "light", media: str = "screen") -> None:
        """Open the report of a run in a window of that width."""
        self._file.write_text(html(run), "utf-8")
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        for kind in ("browser", "performance"):
            self.driver.get_log(kind)
        self.driver.get(self._file.as_uri())

    def run(self, script: str) -> Any:
        """What a script that runs in the page returns."""
        return self.driver.execute_script(script)

    def shown(self) -> int:
        """How many findings can be seen."""
        return self.run("return [...document.querySelectorAll('.finding')].filter(one => one.checkVisibility()).length")

    def click(self, selector: str) -> None:
        """Click with the mouse."""
        element = self.driver.find_element(By.CSS_SELECTOR, selector)
        self.run("document.documentElement.style.scrollBehavior = 'auto'")
        ActionChains(self.driver, duration=0).scroll_to_element(element).click(element).perform()

    def quiet(self) -> bool:
        """Whether the console is empty and nothing but the file itself was asked for."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        asked = [one["params"]["request"]["url"] for one in messages if one["method"] == "Network.requestWillBeSent"]
        assert asked == [self._file.as_uri()]
        assert self.driver.get_log("browser") == []
        return True

    def faults(self) -> list[str]:
        """Serious and critical violations that axe finds."""
        axe = Path(str(distribution("axe-playwright-python").locate_file("axe_playwright_python/axe.min.js")))
        self.run(axe.read_text("utf-8"))
        found = self.driver.execute_async_script("axe.run({resultTypes: ['violations']}).then(arguments[0])")
        assert len(found["passes"]) > 15
        return [
            f"{one['id']}: {node['html'][:200]} {node['any'][:1]}"
            for one in found["violations"]
            if one["impact"] in ("serious", "critical")
            for node in one["nodes"]
        ]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Generator[Page]:
    """One browser for all tests."""
    folder = tmp_path_factory.mktemp("browser")
    with launch(folder / "profile") as driver:
        yield Page(driver, folder)


def test_command_writes_the_file(fixbot: RunFixbot, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    with closing(Ledger(tmp_path / "state" / "ledger.sqlite")) as ledger:
        run = result(3)
        ledger.start(RunRecord(run.run, run.repository, run.base, "", int(time.time()), "running"))
        ledger.finish(run.run, "finished", run.to_json())
    done = fixbot("report", "last", "--html", "-o", tmp_path / "report.html")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "report.html").read_text("utf-8") == html(result(3)) + "\n"
    assert "somebody" not in html(result(3))
    both = fixbot("report", "last", "--html", "--markdown")
    assert (both.returncode, "exclude each other" in both.stderr) == (2, True)


def test_file_needs_nothing_and_its_policy_fits() -> None:
    text = html(result(20))
    assert not re.search(r"<(link|img|iframe|object|embed|form[^>]*action|base)\b", text)
    assert not re.search(r"<[^>]*\s(style|src|srcset|on\w+)=", text)
    assert {href[:1] for href in re.findall(r'href="([^"]*)"', text)} == {"#"}
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    assert policy
    assert policy[1].startswith("default-src &#39;none&#39;;")
    assert "unsafe" not in policy[1]
    for tag in ("style", "script"):
        (body,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        assert base64.b64encode(hashlib.sha256(body.encode()).digest()).decode() in policy[1]


def test_says_what_the_run_has_to_say() -> None:
    text = html(result(40))
    for words in (
        "<strong>18 of 37</strong> findings fixed and proven by the tests, on branch <code>fixbot/0123456789</code>",
        "412 passed, 3 failed, 1 flaky; 9 suite runs",
        "some-model: 12 calls, 45,678 tokens, 0.0321 USD",
        "2 of 2 changed lines executed by passing tests",
        "tests/test_proof.py</code>: fails without the fix, passes with it",
        "<dd>1 test gets worse</dd>",
        "2 min 51 s",
        "4 of 5 entries placed in the code; 1 heading without a bug of its own",
        "no file of that name",
        "vendor/<wbr>file_13.py",
        "3 muted<",
        "<b>opened</b> missing-timeout (1 fix)",
        "limit of 5 open ones",
    ):
        assert words in text, words
    assert "Summary</li>" not in text
    assert html(result(0)).count("No findings in 812 files.") == 1


def test_rows_of_a_diff() -> None:
    shown = list(rows(DIFF.format(path="a.py", line=7)))
    assert [(row.kind, row.old, row.new) for row in shown] == [
        (Kind.FILE, 0, 0),
        (Kind.HUNK, 0, 0),
        (Kind.SAME, 7, 7),
        (Kind.SAME, 8, 8),
        (Kind.REMOVED, 9, 0),
        (Kind.ADDED, 0, 9),
        (Kind.ADDED, 0, 10),
        (Kind.SAME, 10, 11),
    ]
    pair = list(rows("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-f(url)\n\\ No newline at end of file\n+f(url, timeout=3)\n"))
    assert [row.kind for row in pair] == [Kind.FILE, Kind.HUNK, Kind.REMOVED, Kind.NOTE, Kind.ADDED]
    before, after = list(rows("@@ -1 +1 @@\n-f(url)\n+f(url, timeout=3)\n"))[1:]
    assert (before.parts, after.parts) == (("f(url", "", ")"), ("f(url", ", timeout=3", ")"))
    assert [row.marked for row in rows("@@ -1 +1 @@\n-abc\n+xyz\n")] == [(0, 0)] * 3


def test_rows_that_look_like_headers_and_rows_of_no_diff() -> None:
    shown = list(rows("--- a/x\n+++ b/x\n@@ -1,2 +1 @@\n--- a line of dashes\n same\n-after the end\n"))
    assert [(row.kind, row.text) for row in shown[2:]] == [
        (Kind.REMOVED, "-- a line of dashes"),
        (Kind.SAME, "same"),
        (Kind.NOTE, "-after the end"),
    ]
    assert [row.kind for row in rows("no diff\n@@ nonsense @@\n+x")] == [Kind.NOTE] * 3
    assert list(rows("")) == []


@in_browser
def test_filters_and_search(page: Page) -> None:
    page.show(result(40))
    assert page.shown() == 37
    page.click(".chip:has([value=critical])")
    assert (page.shown(), page.run("return document.getElementById('count').textContent")) == (9, "9 of 37")
    page.click(".chip:has([value=fixed])")
    assert page.shown() == sum((one.finding.severity, one.status) == ("critical", "fixed") for one in result(40).outcomes)
    page.click("#clear")
    assert page.shown() == 37
    search = page.driver.find_element(By.ID, "search")
    search.send_keys("timeout=30 NUMBER 1")
    assert 0 < page.shown() < 37
    search.send_keys(" nowhere")
    assert (page.shown(), page.driver.find_element(By.ID, "nothing").is_displayed()) == (0, True)
    page.click("#clear")
    page.click("a[data-rule=naive-datetime]")
    assert (page.shown(), page.driver.find_element(By.ID, "rule").get_property("value")) == (6, "naive-datetime")
    page.click("a[data-file='services/part_01/module_1.py']")
    assert page.shown() == 1
    assert page.quiet()


@in_browser
def test_details_open_and_diffs_turn_side_by_side(page: Page) -> None:
    page.show(result(8))
    first = "document.querySelector('.finding:has(.diff)')"
    page.click(".finding:has(.diff) summary")
    assert page.run(f"return {first}.querySelector('.diff').checkVisibility() && !document.querySelector('.split')")
    page.click("#split")
    cells = f"return [...{first}.querySelectorAll('.split tbody tr')].map(row => [...row.cells].map(one => one.textContent))"
    table = page.run(cells)
    assert [row[0::2] for row in table[1:]] == [["10", "10"], ["11", "11"], ["12", "12"], ["", "13"], ["13", "14"]]
    assert table[3][1::2] == ["    answer = session.get(url)", "    answer = session.get(url, timeout=30)"]
    assert page.run(f"return !{first}.querySelector('.diff').checkVisibility()")
    assert page.run("return document.querySelectorAll('.split').length") == 1  # the others are drawn when they are opened
    page.click("#unfold")
    assert page.run("return document.querySelectorAll('.finding > details[open]').length") == page.shown()
    assert page.run("return document.querySelectorAll('.split').length") > 1
    page.click("#split")
    assert page.run(f"return {first}.querySelector('.diff').checkVisibility()")
    assert page.quiet()


@in_browser
def test_keyboard_alone_reaches_and_opens_a_finding(page: Page) -> None:
    page.show(result(3))
    keys = ActionChains(page.driver, duration=0)
    for _ in range(40):
        keys.send_keys(Keys.TAB).perform()
        if page.run("return document.activeElement.matches('.finding summary')"):
            break
    keys.send_keys(Keys.ENTER).perform()
    assert page.run("return document.querySelector('.finding > details').open")


@in_browser
def test_without_script_and_on_paper_all_is_there(page: Page) -> None:
    page.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        page.show(result(8), media="print")
        assert page.driver.find_elements(By.ID, "filters")[0].is_displayed() is False
        seen = "one.checkVisibility({contentVisibilityAuto: true}) && one.offsetHeight > 100"
        assert page.run(f"return [...document.querySelectorAll('.finding .body')].map(one => {seen})") == [True] * 8
    finally:
        page.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


@in_browser
@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 1200), ("dark", 375)])
def test_accessible(page: Page, scheme: str, width: int) -> None:
    page.show(result(11), width, scheme=scheme)
    page.run("for (const box of [...document.querySelectorAll('details')].slice(0, 5)) box.open = true")
    page.run("document.querySelector('[value=critical]').click()")
    if width > 500:
        page.click("#split")
    assert page.faults() == []


@in_browser
@pytest.mark.parametrize("width", [375, 320])
def test_no_sideways_scrolling_on_a_phone(page: Page, width: int) -> None:
    for run in (result(6), hostile("x" * 400)):
        page.show(run, width)
        page.run("for (const box of document.querySelectorAll('details')) box.open = true")
        assert page.run("return document.documentElement.scrollWidth") <= width
        assert page.run("return [...document.querySelectorAll('body *')].every(one => one.getBoundingClientRect().right <= innerWidth + 1)")


@in_browser
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_is_text(page: Page, text: str) -> None:
    page.show(hostile(text))
    page.run("for (const box of document.querySelectorAll('details')) box.open = true; document.getElementById('split').click()")
    assert page.run("return document.querySelectorAll('.split').length") == 2
    assert page.run("return document.querySelectorAll('script, style, base, meta, link, img, iframe, title').length") == 9
    assert page.run(
        "return [...document.querySelectorAll('*')].every(one => ![...one.attributes].some(a => /^(on|style|src)/.test(a.name)))"
    )
    assert page.run("return [...document.querySelectorAll('[href]')].every(one => one.getAttribute('href') === '#findings')")
    message = page.run("return document.querySelector('.message').textContent")
    assert message == clean(text) if text.count("`") % 2 else message == clean(text).replace("`", "")
    assert "1337" not in page.run("return document.body.textContent")
    assert clean(text) in page.run("return document.querySelector('.scope').textContent")
    page.run("document.querySelector('a[data-rule]').click()")
    assert page.shown() == 2
    assert page.driver.title.startswith("1 of 2 fixed")
    assert page.quiet()


@in_browser
def test_two_thousand_findings_draw_only_what_is_seen(page: Page) -> None:
    page.show(result(2000))
    assert page.run("return getComputedStyle(document.querySelector('.finding')).contentVisibility") == "auto"
    assert page.run("return document.querySelectorAll('.finding details[open], .split').length") == 0
    page.run(
        "const box = document.getElementById('search'); box.value = 'number 77'; box.dispatchEvent(new Event('input', {bubbles: true}))"
    )
    assert 0 < page.shown() < 200
    assert page.quiet()
