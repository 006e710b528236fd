import httpx
import openai

from app.models import Plan

REQUEST = httpx.Request("POST", "https://api.openai.test")


def ask(client, headers, message="What is a monad?", agent="tutor", **more):
    return client.post("/chat", json={"agent": agent, "message": message, **more}, headers=headers)


def test_answer_is_counted_and_remembered(client, login, model, events):
    headers = login()
    answer = ask(client, headers)
    assert answer.json() == {"agent": "tutor", "reply": "Hello!", "tokens": 42}
    ask(client, headers, "And a functor?")
    assert [entry["role"] for entry in model.completions.prompts[1]] == ["system", "user", "assistant", "user"]
    assert len(client.app.state.db.usage_of(1)) == 2
    assert events[-1][0] == "chat"


def test_agents_for_guests_have_no_instructions(client, login):
    assert client.get("/agents").json()[0] == {"slug": "tutor", "name": "Tutor"}
    headers = login()
    assert client.get("/agents", headers=headers).json()[1]["instructions"] == "You motivate people."
    assert ask(client, headers, agent="nobody").status_code == 404


def test_known_agent_survives_an_outage(client, login, supabase):
    headers = login()
    assert ask(client, headers).status_code == 200
    supabase.down = True
    assert ask(client, headers).status_code == 200
    assert client.get("/health").json()["degraded"] == ["agents"]
    assert ask(client, headers, agent="coach").status_code == 503
    supabase.down = False
    ask(client, headers)
    assert client.get("/health").json()["status"] == "ok"


def test_connection_errors_of_the_model_are_retried(client, login, model):
    model.completions.answers = [openai.APIConnectionError(request=REQUEST), "Better late than never"]
    assert ask(client, login()).json()["reply"] == "Better late than never"


def test_model_down_and_empty_answer(client, login, model):
    model.completions.answers = [openai.APIConnectionError(request=REQUEST)] * 3 + [None]
    headers = login()
    assert ask(client, headers).status_code == 502
    assert ask(client, headers).status_code == 502


def test_quota(client, login):
    headers = login()
    client.app.state.db.add_usage(1, "chat", 20_000, "2999-01-01T00:00:00+00:00")
    assert ask(client, headers).status_code == 429


def test_documents_are_context(client, login, model):
    headers = login(plan=Plan.PRO)
    text = b"The warranty lasts thirty months from delivery."
    client.post("/documents", files={"file": ("terms.txt", text, "text/plain")}, headers=headers).raise_for_status()
    ask(client, headers, "How long is the warranty?", use_documents=True)
    ask(client, headers, "Who won the match?", use_documents=True)
    first, second = (prompt[0]["content"] for prompt in model.completions.prompts)
    assert "thirty months" in first
    assert "thirty months" not in second


def test_lost_document_is_skipped(client, login, model):
    headers = login()
    client.app.state.db.add_document(1, "gone", "1/gone.txt", "text/plain")
    assert ask(client, headers, use_documents=True).status_code == 200
