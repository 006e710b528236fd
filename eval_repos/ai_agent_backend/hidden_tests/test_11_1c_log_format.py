import json
import logging
from pathlib import Path


def test_all_lines_of_the_log_are_json(service):
    built = service()
    built.client.get("/health")
    logging.getLogger("app.test").warning("hello")
    log_file = Path(built.app.state.settings.log_file)
    for name in ("app", "app.access"):
        for handler in logging.getLogger(name).handlers:
            handler.flush()
    records = []
    for path in sorted(log_file.parent.glob("*.log")):
        for line in path.read_text(encoding="utf-8").splitlines():
            records.append(json.loads(line))
    assert any("hello" in str(record["message"]) for record in records)
    access = [record for record in records if "/health" in json.dumps(record) and record["logger"] == "app.access"]
    assert len(access) == 1
    assert access[0]["request_id"]
    assert len({frozenset(record) - {"exception"} for record in records if record["logger"] != "app.access"}) == 1
