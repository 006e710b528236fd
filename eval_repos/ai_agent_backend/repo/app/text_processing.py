"""Text out of documents, cut into pieces that fit into a prompt."""

import re
import unicodedata
from pathlib import Path

try:
    import pypdf
except ImportError:
    pypdf = None

try:
    import tiktoken
except ImportError:
    tiktoken = None

MAX_TEXT_BYTES = 512 * 1024
MAX_PDF_PAGES = 50


def slugify_title(title: str) -> str:
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")
    return slug[:60] or "untitled"


def read_pdf(path: Path) -> str:
    reader = pypdf.PdfReader(str(path))
    pages = [page.extract_text() or "" for page in reader.pages[:MAX_PDF_PAGES]]
    return "\n".join(page.strip() for page in pages).strip()


def read_document(path: Path, mime: str) -> str:
    if mime == "application/pdf":
        return read_pdf(path)
    with path.open("rb") as source:
        return source.read(MAX_TEXT_BYTES).decode("utf-8", errors="replace")


def count_tokens(text: str, model: str) -> int:
    encoding = tiktoken.encoding_for_model(model)
    return len(encoding.encode(text))


def chunk_text(text: str, size: int = 1200, overlap: int = 200) -> list[str]:
    """Pieces of at most `size` characters; neighbours share `overlap` characters so that no sentence is lost in a cut."""
    if not 0 <= overlap < size:
        raise ValueError("overlap must be smaller than size")
    text = text.strip()
    if len(text) <= size:
        return [text] if text else []
    chunks = []
    start = 0
    while start + size <= len(text):
        chunks.append(text[start : start + size])
        start += size - overlap
    return chunks


def best_chunks(question: str, chunks: list[str], limit: int = 3) -> list[str]:
    """The chunks that share most words with the question, best first."""
    wanted = set(re.findall(r"\w{4,}", question.lower()))
    scored = [(len(wanted & set(re.findall(r"\w{4,}", chunk.lower()))), -index, chunk) for index, chunk in enumerate(chunks)]
    scored.sort(reverse=True)
    return [chunk for score, _, chunk in scored[:limit] if score > 0]
