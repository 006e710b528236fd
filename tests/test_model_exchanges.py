"""What is asked and answered is written down, without secrets, and answers again."""

from __future__ import annotations

import json
import sqlite3
import stat
import threading
from collections.abc import Iterable
from pathlib import Path

import pytest
from model_server import answer, failure, serve

from fixbot.agent.errors import LedgerError
from fixbot.agent.store import Ledger, RunRecord
from fixbot.patchers.model.budget import Budget, Limits, Prices
from fixbot.patchers.model.client import Endpoint, EndpointError, Key, Message, ReplayMissError, Reply, ReplyError, Request, Usage, connect
from fixbot.patchers.model.exchanges import Exchange, Recording, Replay, read_exchanges, request_hash, total_spent, write_exchanges

SECRET = "q7Rk2mZx9LpT4vWn8YbC3sHd"


def question(text: str, sample: int = 0, finding: str = "fp") -> Request:
    return Request((Message("system", "Fix."), Message("user", text)), "fix", finding, "bare-except app.py:3", sample)


def record(script: list[object], requests: Iterable[Request], known: Iterable[Exchange] = ()) -> tuple[list[Exchange], list[object]]:
    """Ask through a recording; the exchanges saved, and a reply or error for each request."""
    saved: list[Exchange] = []
    results: list[object] = []
    with serve(script) as server:  # pyright: ignore[reportArgumentType]
        model = Recording(connect(Endpoint(server.base_url, "m", Key("k"), retries=0), Budget(prices=Prices(1, 1))), known, saved.append)
        for request in requests:
            try:
                results.append(model.complete(request))
            except ReplyError as error:
                results.append((error.kind, str(error), error.usage, error.cost))
    return saved, results


def test_a_replay_gives_byte_for_byte_what_the_run_got(tmp_path: Path) -> None:
    requests = [question("a"), question("a", sample=1), question("b"), question("c")]
    script = ["one\r\n\té\u2028", answer("two"), answer("half", finish="length"), failure(500)]
    saved, results = record(list(script), requests)
    write_exchanges(tmp_path / "run.jsonl", saved)
    assert stat.S_IMODE((tmp_path / "run.jsonl").stat().st_mode) == 0o600
    exchanges = list(read_exchanges(tmp_path / "run.jsonl"))
    assert exchanges == saved
    replay, again = Replay(exchanges), list[object]()
    for request in requests:
        try:
            again.append(replay.complete(request))
        except ReplyError as error:
            again.append((error.kind, str(error), error.usage, error.cost))
    assert again == results
    assert isinstance(results[0], Reply)
    assert results[0].text == script[0]
    assert [one.failure and one.failure[0] for one in saved] == [None, None, "cut-off", "server"]
    assert saved[2].usage == Usage(100, 20)


def test_a_changed_prompt_is_a_named_miss() -> None:
    saved, _ = record(["one"], [question("a")])
    for request in (question("changed"), question("a", sample=1)):
        with pytest.raises(ReplayMissError) as caught:
            Replay(saved).complete(request)
        for word in ("fix of bare-except app.py:3", request_hash(request.messages)[:12], "the prompt has changed"):
            assert word in str(caught.value)


def test_a_resumed_run_pays_nothing_twice() -> None:
    first, _ = record(["one", failure(500)], [question("a"), question("b")])
    second, results = record(["new"], [question("a"), question("b"), question("c"), question("c")], known=first)
    assert [one.reply for one in second] == ["new"]
    assert isinstance(results[0], Reply)
    assert results[0].text == "one"
    assert results[1] == ("server", "the endpoint failed (500)", Usage(0, 0), 0.0)
    assert results[2] == results[3]
    spent = total_spent([*first, *second])
    assert (spent.calls, spent.prompt_tokens, spent.completion_tokens) == (3, 200, 40)
    assert Budget(Limits(run_cost=1), Prices(1, 1), spent).spent.cost == pytest.approx(240 / 1e6)  # pyright: ignore[reportUnknownMemberType]
    assert total_spent([]).cost is None


def test_the_same_question_from_two_threads_is_asked_once() -> None:
    saved: list[Exchange] = []
    with serve(["one"]) as server:
        model = Recording(connect(Endpoint(server.base_url, "m", Key()), Budget()), [], saved.append)
        threads = [threading.Thread(target=model.complete, args=(question("a", sample=number % 2),)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(server.requests) == len(saved) == 2


def test_an_endpoint_of_no_use_is_not_written_down() -> None:
    saved: list[Exchange] = []
    with serve([failure(401)]) as server, pytest.raises(EndpointError):
        Recording(connect(Endpoint(server.base_url, "m", Key("k")), Budget()), [], saved.append).complete(question("a"))
    assert saved == []


def test_secrets_are_not_written_down() -> None:
    request = question(f'API_TOKEN = "{SECRET}"')
    saved, results = record([f'use API_TOKEN = "{SECRET}" and {"AK" + "IA"}IOSFODNN7EXAMPLE'], [request])
    text = json.dumps(saved[0].to_json())
    assert SECRET not in text
    assert "IOSFODNN7" not in text
    assert saved[0].reply == 'use API_TOKEN = "<secret-1>" and <secret-2>'
    assert isinstance(results[0], Reply)
    assert results[0].text == saved[0].reply  # a run and its replay see the same
    assert Replay(saved).complete(request) == results[0]


def test_the_hash_is_stable_and_tells_apart() -> None:
    assert request_hash([Message("user", "é\n")]) == "c5ede4b16ec0d33e1ba011794cf5d128031282782ffae71bf03133d9ea630740"
    texts = [("user", "ab"), ("system", "ab"), ("user", "a"), ("user", "ab\n")]
    assert len({request_hash([Message(role, text)]) for role, text in texts}) == 4  # pyright: ignore[reportArgumentType]
    assert request_hash([Message("user", "a"), Message("user", "b")]) != request_hash([Message("user", "ab")])


@pytest.mark.parametrize("line", ["{", "[]", "3", "{}", '{"hash": 1}', "[" * 100_000])
def test_a_damaged_recording_is_named_with_its_line(tmp_path: Path, line: str) -> None:
    saved, _ = record(["one"], [question("a")])
    write_exchanges(tmp_path / "run.jsonl", saved)
    with (tmp_path / "run.jsonl").open("a") as file:
        file.write("\n" + line + "\n")
    with pytest.raises(ValueError, match="line 3"):
        list(read_exchanges(tmp_path / "run.jsonl"))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("failure", ["nonsense", "x"]),
        ("reply", None),
        ("sample", "1"),
        ("messages", [{"role": "root", "content": "x"}]),
        ("usage", {"prompt": -1, "completion": 0}),
        ("extra", 1),
    ],
)
def test_fields_of_a_recording_are_checked(field: str, value: object) -> None:
    saved, _ = record(["one"], [question("a")])
    fields = saved[0].to_json() | {field: value}
    with pytest.raises(ValueError, match="not a recorded exchange"):
        Exchange.from_json(fields)


def ledger_with_run(path: Path) -> Ledger:
    ledger = Ledger(path)
    ledger.start(RunRecord("r1", "/repo", "base", "{}", 1, "running"))
    return ledger


def test_the_ledger_keeps_exchanges_when_a_run_has_finished(tmp_path: Path) -> None:
    saved, _ = record(["one", "two"], [question("a"), question("b")])
    ledger = ledger_with_run(tmp_path / "ledger.db")
    threads = [threading.Thread(target=ledger.save_exchange, args=("r1", saved[number % 2])) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ledger.finish("r1", "finished", {})
    ledger.close()
    again = Ledger(tmp_path / "ledger.db")
    assert sorted(one.reply for one in again.exchanges("r1")) == ["one"] * 10 + ["two"] * 10
    assert list(again.exchanges("other")) == []
    with pytest.raises(LedgerError):
        again.save_exchange("other", saved[0])  # no such run


def test_a_ledger_of_the_first_version_is_taken_over_and_a_later_one_refused(tmp_path: Path) -> None:
    ledger_with_run(tmp_path / "ledger.db").close()
    database = sqlite3.connect(tmp_path / "ledger.db")
    database.executescript("DROP TABLE exchanges; PRAGMA user_version=1;")
    ledger = Ledger(tmp_path / "ledger.db")
    saved, _ = record(["one"], [question("a")])
    ledger.save_exchange("r1", saved[0])
    assert list(ledger.exchanges("r1")) == saved
    assert ledger.find("r1").repository == "/repo"
    ledger.close()
    database.execute("PRAGMA user_version=99")
    database.close()
    with pytest.raises(LedgerError, match="version 99"):
        Ledger(tmp_path / "ledger.db")


def test_a_damaged_exchange_in_the_ledger_is_said(tmp_path: Path) -> None:
    ledger = ledger_with_run(tmp_path / "ledger.db")
    with sqlite3.connect(tmp_path / "ledger.db") as database:
        database.execute("INSERT INTO exchanges VALUES ('r1', 0, '{}')")
    with pytest.raises(LedgerError, match="damaged exchange"):
        list(ledger.exchanges("r1"))
    ledger.close()
