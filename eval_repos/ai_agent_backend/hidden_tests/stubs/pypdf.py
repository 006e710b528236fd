from types import SimpleNamespace


class PdfReader:
    def __init__(self, stream, **options):
        self.pages = [SimpleNamespace(extract_text=lambda: "text of the page")]
