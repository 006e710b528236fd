"""The model client against a real server: what is sent, and what every fault becomes."""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

import pytest
from model_server import (
    Chat,
    Raw,
    Script,
    Server,
    Step,
    answer,
    bomb,
    broken_json,
    broken_stream,
    failure,
    nobody,
    page,
    redirect,
    refuse_parameter,
    serve,
    tool_call,
    whole,
)

from fixbot.patchers.model.budget import Budget, Limits, Prices
from fixbot.patchers.model.client import (
    Endpoint,
    EndpointError,
    Key,
    Message,
    OverBudgetError,
    Reply,
    ReplyError,
    Request,
    Usage,
    connect,
    take_key,
)

CANARY = "sk-canary-0123456789-abcdefXYZ"
REQUEST = Request((Message("system", "Fix it."), Message("user", "def f(): ...")), "fix", "fp1", "bare-except app.py:3")
SHARED = Path(__file__).parents[2] / "shared" / "conformance"


def ask(server: Server, request: Request = REQUEST, budget: Budget | None = None, **options: Any) -> Reply:
    settings: dict[str, Any] = {"key": Key(CANARY), "retries": 0, "timeout": 5, **options}
    return connect(Endpoint(server.base_url, "test-model", **settings), budget or Budget()).complete(request)


def fail(script: Script, **options: Any) -> ReplyError:
    with serve(script) as server, pytest.raises(ReplyError) as caught:
        ask(server, **options)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250
    return caught.value


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_with_its_usage_and_cost(stream: bool) -> None:
    budget = Budget(prices=Prices(input=1, output=2, cached=0.5))
    with serve([answer("a fix\n" * 2000, cached=40)]) as server:
        reply = ask(server, budget=budget, stream=stream)
    assert reply.text == "a fix\n" * 2000
    assert reply.model == "test-model"
    assert reply.usage == Usage(100, 20, cached=40)
    assert reply.cost == pytest.approx((60 + 20 + 40) / 1e6)  # pyright: ignore[reportUnknownMemberType]
    assert 0 < reply.seconds < 5
    assert (budget.spent.calls, budget.spent.prompt_tokens, budget.spent.completion_tokens) == (1, 100, 20)
    assert budget.spent.cost == reply.cost


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("usage", [False, {"prompt_tokens": "x", "completion_tokens": 1}, {"prompt_tokens": 0, "completion_tokens": 0}])
def test_without_usable_figures_the_worst_case_counts(stream: bool, usage: Any) -> None:
    budget = Budget()
    with serve([answer("text", usage=usage)]) as server:
        reply = ask(server, budget=budget, stream=stream, max_output=50)
    assert reply.usage.estimated
    assert reply.usage.completion == 50
    assert reply.usage.prompt >= len("Fix it.def f(): ...")
    assert budget.spent.estimated


def test_what_is_sent() -> None:
    schema = {"type": "object"}
    request = Request(REQUEST.messages, "fix", "fp1", "secret-place", sample=3, schema=schema)
    with serve(["ok"]) as server:
        ask(server, request, temperature=0.2, seed=10, enforces_schema=True, max_output=77)
        ask(server, request)
        ask(server, request, stream=True)
    first, second, third = server.requests
    assert first.path == "/v1/chat/completions"
    assert first.headers["authorization"] == f"Bearer {CANARY}"
    assert first.body == {
        "model": "test-model",
        "messages": [{"role": "system", "content": "Fix it."}, {"role": "user", "content": "def f(): ..."}],
        "max_tokens": 77,
        "temperature": 0.2,
        "seed": 13,
        "response_format": {"type": "json_schema", "json_schema": {"name": "reply", "schema": schema, "strict": True}},
    }
    assert set(second.body) == {"model", "messages", "max_tokens"}
    assert third.body["stream_options"] == {"include_usage": True}
    assert "secret-place" not in json.dumps([one.body for one in server.requests])


def test_requests_are_valid_by_openais_own_description() -> None:
    if not (SHARED / "openai-openapi.json").exists():
        pytest.skip("OpenAI's description is not beside this project")
    from jsonschema import Draft202012Validator

    with serve(["ok"]) as server:
        ask(server)
        ask(server, Request(REQUEST.messages, "fix", "f", "p", schema={"type": "object"}), enforces_schema=True, temperature=1, seed=1)
        ask(server, stream=True)
    components = json.loads((SHARED / "openai-openapi.json").read_text(encoding="utf-8"))["components"]
    validator: Any = Draft202012Validator({"$ref": "#/components/schemas/CreateChatCompletionRequest", "components": components})
    assert [error.message for one in server.requests for error in validator.iter_errors(one.body)] == []
    assert not validator.is_valid({"model": "x"})
    if importlib.util.find_spec("jsonschema_rs") is not None:  # the validator the description was tried with
        lines = "".join(json.dumps({"path": one.path, "request": one.body}) + "\n" for one in server.requests)
        command = [sys.executable, str(SHARED / "validate_openai.py"), str(SHARED / "openai-openapi.json")]
        assert "0 violations" in subprocess.run(command, input=lines, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("step", "kind"),
    [
        (answer("half", finish="length"), "cut-off"),
        (answer("whole?", finish=None), "cut-off"),
        (answer("x", finish="content_filter"), "filtered"),
        (answer("x", finish="error"), "server"),
        (answer("x", finish="banana"), "malformed"),
        (answer(None, refusal="I can't"), "refusal"),
        (answer(None), "empty"),
        (answer(" \n"), "empty"),
        (tool_call(), "empty"),
        (Chat({"content": "x"}, choices=2), "malformed"),
        (answer("x" * 5_000_000), "too-large"),
        (page(), "malformed"),
        (bomb(), "too-large"),
        (Raw(200, b"["), "malformed"),
        (Raw(200, b"[" * 200_000), "malformed"),
        (Raw(200, b"[1, null]"), "malformed"),
        (Raw(200, b""), "malformed"),
        (Raw(200, b'{"choices": null, "usage": 3, "model": []}'), "malformed"),
        (Raw(200, b"xx", {"Content-Type": "application/json", "Content-Encoding": "gzip"}), "malformed"),
        (broken_json(), "malformed"),
        (broken_stream(), "malformed"),
        (failure(500), "server"),
        (failure(529), "server"),
        (failure(429), "rate-limit"),
        (failure(413), "context-too-long"),
        (failure(400, "This model's maximum context length is 4096 tokens."), "context-too-long"),
        (failure(400, "no", code="context_length_exceeded"), "context-too-long"),
        (failure(400, "no", code="content_filter"), "filtered"),
        (failure(400, "roles must alternate"), "malformed"),
    ],
)
def test_one_answer_of_no_use(step: Step, kind: str, stream: bool) -> None:
    expected = "malformed" if kind == "empty" and isinstance(step, Raw) and stream else kind
    assert fail([step], stream=stream).kind == expected


def test_no_choices() -> None:
    assert fail([Chat({}, choices=0)]).kind == "empty"
    assert fail([Raw(200, b'{"error": {"message": "overloaded"}}')]).kind == "server"


def test_figures_of_a_useless_answer_count() -> None:
    budget = Budget(prices=Prices(1, 1))
    error = fail([answer("half", finish="length")], budget=budget)
    assert error.usage == Usage(100, 20)
    assert error.cost == budget.spent.cost == pytest.approx(120 / 1e6)  # pyright: ignore[reportUnknownMemberType]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("drip_headers", [False, True])
def test_a_slow_drip_meets_the_deadline(stream: bool, drip_headers: bool) -> None:
    start = time.monotonic()
    step = whole("hello", stream, drip=0.05, drip_headers=drip_headers)
    assert fail([step], stream=stream, timeout=0.25, retries=2).kind == "timeout"
    assert time.monotonic() - start < 2


def test_a_slow_first_byte_meets_the_deadline() -> None:
    budget = Budget()
    assert fail([whole("late", delay=0.3)], timeout=0.1, retries=2, budget=budget).kind == "timeout"
    assert budget.spent.calls == 1
    assert budget.spent.estimated  # the endpoint may have worked on it


@pytest.mark.parametrize("stream", [False, True])
def test_a_body_cut_in_the_middle(stream: bool) -> None:
    assert fail([whole("hello " * 50, stream, cut=True)], stream=stream).kind == "cut-off"


def test_retries_honour_what_the_server_says() -> None:
    budget = Budget()
    with serve([failure(429, headers={"retry-after": "0.1"}), "ok"]) as server:
        start = time.monotonic()
        assert ask(server, retries=1, budget=budget).text == "ok"
    assert time.monotonic() - start >= 0.1
    assert (budget.spent.calls, budget.spent.prompt_tokens) == (2, 100)
    with serve([failure(500), "ok"]) as server:
        assert ask(server, retries=1).text == "ok"
    with serve([failure(429, headers={"retry-after": "60"})]) as server, pytest.raises(ReplyError):
        ask(server, retries=2)  # longer than the call may take: not waited for
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (failure(401, f"Incorrect API key provided: {CANARY}"), "rejects the key"),
        (failure(403), "rejects the key"),
        (failure(402), "used up"),
        (failure(429, code="insufficient_quota"), "used up"),
        (failure(404, "no such model"), "does not know the model test-model"),
        (failure(400, "no", code="model_not_found"), "does not know the model"),
    ],
)
def test_an_endpoint_of_no_use(step: Step, words: str) -> None:
    with serve([step]) as server, pytest.raises(EndpointError, match=words):
        ask(server)
    assert len(server.requests) == 1


def test_an_endpoint_that_is_not_there() -> None:
    budget = Budget()
    with nobody() as url, pytest.raises(EndpointError, match="refused"):
        connect(Endpoint(url, "m", Key(), retries=0), budget).complete(REQUEST)
    assert (budget.spent.prompt_tokens, budget.spent.estimated) == (0, False)
    with pytest.raises(EndpointError, match="cannot be reached"):
        connect(Endpoint("https://no-such-host.invalid/v1", "m", Key(CANARY), retries=0), budget).complete(REQUEST)


def test_the_key_does_not_follow_a_redirect() -> None:
    with serve(["stolen"]) as other:
        script = [redirect(other.base_url + "/chat/completions")]
        with serve(script) as server, pytest.raises(EndpointError, match="redirects"):
            ask(server)
    assert other.requests == []


def test_refused_parameters_are_dropped_and_remembered() -> None:
    names = ["max_tokens", "temperature", "seed", "stream_options", "response_format"]
    request = Request(REQUEST.messages, "fix", "f", "p", schema={"type": "object"})
    with serve([*map(refuse_parameter, names), "ok"]) as server:
        endpoint = Endpoint(
            server.base_url, "m", Key(), retries=0, temperature=0.5, seed=1, stream=True, enforces_schema=True, max_output=9
        )
        model = connect(endpoint, Budget())
        assert model.complete(request).text == "ok"
        assert model.complete(request).text == "ok"
    assert len(server.requests) == len(names) + 2
    for last in server.requests[-2:]:
        assert set(last.body) == {"model", "messages", "max_completion_tokens", "stream"}


def test_other_servers_ways_to_name_a_parameter() -> None:
    detail = json.dumps({"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}]}).encode()
    words = failure(400, "Unsupported value: 'temperature' does not support 0.5 with this model.")
    with serve([Raw(422, detail), words, "ok"]) as server:
        assert ask(server, temperature=0.5, seed=1).text == "ok"
    assert set(server.requests[-1].body) == {"model", "messages", "max_tokens"}


def test_an_endpoint_that_takes_no_output_limit_is_of_no_use() -> None:
    script = [refuse_parameter("max_tokens"), refuse_parameter("max_completion_tokens")]
    with serve(script) as server, pytest.raises(EndpointError, match="output limit"):
        ask(server)
    assert len(server.requests) == 2


def test_over_budget_before_anything_is_sent() -> None:
    with serve(["ok"]) as server, pytest.raises(OverBudgetError):
        ask(server, budget=Budget(Limits(run_tokens=100)))
    assert server.requests == []


def test_over_budget_between_retries() -> None:
    with serve([failure(500)]) as server, pytest.raises(OverBudgetError, match="1 calls"):
        ask(server, budget=Budget(Limits(calls=1)), retries=2)
    assert len(server.requests) == 1


def test_parallel_calls_stay_within_the_budget() -> None:
    budget = Budget(Limits(run_tokens=3000))
    texts: list[str] = []
    with serve(lambda body: "ok") as server:
        model = connect(Endpoint(server.base_url, "m", Key(), max_output=900), budget)

        def work() -> None:
            try:
                texts.append(model.complete(REQUEST).text)
            except OverBudgetError as error:
                texts.append(type(error).__name__)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    # Each uses 120 tokens and sets aside about 1,100: two at a time, but all of them in the end.
    assert texts == ["ok"] * 8
    assert budget.spent.prompt_tokens + budget.spent.completion_tokens == 8 * 120


@pytest.mark.parametrize(
    "url",
    [
        "https://user:hunter2@example.com/v1",
        "http://127.0.0.1@example.com/v1",
        "http://example.com/v1",
        "http://8.8.8.8/v1",
        "https://example.com/v1?key=hunter2",
        "https://example.com\\@127.0.0.1/v1",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "example.com",
        "",
    ],
)
def test_urls_that_are_refused(url: str) -> None:
    with pytest.raises(EndpointError) as caught:
        connect(Endpoint(url, "m", Key(CANARY)), Budget())
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["https://api.openai.com/v1", "http://localhost:11434/v1", "http://[::1]:8080/v1", "http://192.168.1.5/v1", "http://ollama:11434/v1"],
)
def test_urls_that_are_taken(url: str) -> None:
    connect(Endpoint(url, "m", Key()), Budget())


def test_plain_http_by_wish_and_keys_no_header_can_hold() -> None:
    connect(Endpoint("http://example.com/v1", "m", Key(), allow_http=True), Budget())
    with pytest.raises(EndpointError, match="API key"):
        connect(Endpoint("https://example.com/v1", "m", Key("a\nb")), Budget())


def test_the_key_is_taken_out_of_the_environment() -> None:
    both = {"FIXBOT_API_KEY": CANARY, "OPENAI_API_KEY": "sk-other", "HOME": "/"}
    assert take_key("https://example.com/v1", both).reveal() == CANARY
    assert both == {"HOME": "/"}
    for url, expected in [
        ("https://api.openai.com/v1", "sk-other"),
        ("https://eu.api.openai.com/v1", "sk-other"),
        ("http://api.openai.com/v1", ""),
        ("https://api.openai.com.example.com/v1", ""),
        ("https://example.com/api.openai.com", ""),
        ("http://127.0.0.1:11434/v1", ""),
    ]:
        environment = {"OPENAI_API_KEY": "sk-other"}
        assert take_key(url, environment).reveal() == expected, url
        assert environment == {}


def test_nothing_of_the_environment_leaves_for_another_host(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_WEBHOOK_SECRET"]
    for name in names:
        monkeypatch.setenv(name, f"leak-{name}")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Leak: leak\nAuthorization: leak")
    monkeypatch.setenv("OPENAI_BASE_URL", "https://leak.example.com")
    for proxy in ("http_proxy", "all_proxy"):
        monkeypatch.setenv(proxy, "http://leak.example.com:1")
    with serve(["ok"]) as server:
        ask(server)
        ask(server, key=Key())
    assert "leak" not in repr(server.requests)
    assert "authorization" not in server.requests[1].headers
    assert not [name for name in server.requests[0].headers if name.startswith(("x-", "openai"))]


def test_the_key_shows_up_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    echo = f"your key is {CANARY}"
    scripts: list[Script] = [[failure(status, echo)] for status in (400, 401, 404, 422, 500)]
    scripts += [[page()], [broken_json()], [whole("x", cut=True)], [Raw(200, echo.encode())], [redirect(f"http://{CANARY}.example.com/")]]
    for script in scripts:
        with serve(script) as server:
            try:
                ask(server)
            except (ReplyError, EndpointError) as error:
                shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=False).format())
                chain: list[BaseException | None] = [error, error.__cause__, error.__context__]
                assert CANARY not in shown + repr(chain) + str([vars(one) for one in chain if one is not None and hasattr(one, "__dict__")])
                assert server.requests[0].headers["authorization"] == f"Bearer {CANARY}"
            else:
                pytest.fail("every one of these fails")
    with serve([answer(echo)]) as server:
        assert ask(server).text == "your key is <key>"
    assert CANARY not in caplog.text
    assert CANARY not in repr(Endpoint("https://example.com", "m", Key(CANARY)))
    assert CANARY not in f"{Key(CANARY)} {Key(CANARY)!r} {[Key(CANARY)]}"


def test_openai_is_loaded_only_when_something_is_asked() -> None:
    code = "import sys, fixbot.patchers.model.client, fixbot.patchers.model.exchanges; print({'openai', 'httpx2'} & set(sys.modules))"
    command = [sys.executable, "-P", "-c", code]
    assert subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ.copy()).stdout == "set()\n"
