"""Both places need the same declaration."""


def test_posthog_is_declared_and_used(tools, load):
    assert "posthog" in tools.requirements()
    posthog = load("posthog")
    posthog.api_key = posthog.project_api_key = "phc_test"
    load("app.observability").track(3, "chat")
    assert [event for _, event, _ in posthog.DELIVERED] == ["chat"]
    flags = load("app.feature_flags").FeatureFlags("phc_test", "https://posthog.test")
    assert flags.is_enabled("video-jobs", 1)
    flags.close()
