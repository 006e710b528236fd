import json
import logging
from datetime import datetime, timedelta, timezone


def test_log_lines_have_a_time_zone(load, tmp_path):
    before = datetime.now(timezone.utc) - timedelta(seconds=1)
    load("app.logging_config").configure_logging(tmp_path / "app.log")
    logging.getLogger("app.test").info("hello")
    for handler in logging.getLogger("app").handlers:
        handler.flush()
    record = next(json.loads(line) for line in (tmp_path / "app.log").read_text().splitlines() if "hello" in line)
    moment = datetime.fromisoformat(record["timestamp"].replace("Z", "+00:00"))
    assert moment.tzinfo is not None
    assert before <= moment <= datetime.now(timezone.utc) + timedelta(seconds=1)
