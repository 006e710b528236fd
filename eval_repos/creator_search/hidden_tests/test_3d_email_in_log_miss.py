from hidden_helpers import EMAIL, logs, world  # noqa: F401
from test_3c_email_in_log_hit import sync_twice


def test_a_miss_does_not_log_the_address(world, logs):  # noqa: F811
    miss, _ = sync_twice(world, logs)
    assert EMAIL not in miss and EMAIL.split("@")[0] not in miss
