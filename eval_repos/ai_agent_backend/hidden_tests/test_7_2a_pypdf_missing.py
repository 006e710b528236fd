from pathlib import Path


def test_missing_package_is_named(without, load):
    without("pypdf")
    text_processing = load("app.text_processing")
    try:
        result = text_processing.read_document(Path("report.pdf"), "application/pdf")
    except (AttributeError, TypeError, NameError):
        raise
    except Exception as error:
        message = f"{error} {getattr(error, 'detail', '')}"
        assert "pdf" in message.lower()
    else:
        assert isinstance(result, str)


def test_installed_package_is_used(load):
    assert load("app.text_processing").read_document(Path("report.pdf"), "application/pdf") == "text of the page"


def test_other_documents_need_no_package(without, load, tmp_path):
    without("pypdf")
    (tmp_path / "a.txt").write_text("plain")
    assert load("app.text_processing").read_document(tmp_path / "a.txt", "text/plain") == "plain"
