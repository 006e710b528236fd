def test_missing_package_is_named_or_replaced(without, load):
    without("tiktoken")
    text_processing = load("app.text_processing")
    try:
        result = text_processing.count_tokens("some words to count", "gpt-4o-mini")
    except (AttributeError, TypeError, NameError):
        raise
    except Exception as error:
        message = f"{error} {getattr(error, 'detail', '')}"
        assert "tiktoken" in message.lower()
    else:
        assert isinstance(result, int) and result >= 1


def test_installed_package_is_used(load):
    assert load("app.text_processing").count_tokens("some words to count", "gpt-4o-mini") == 4
