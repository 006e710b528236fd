"""Checks of what clients send: uploads, file names, e-mail addresses, request bodies.

Uploads are checked three times: by name, by size and by content. For the content libmagic is asked where it is installed,
otherwise a short table of signatures has to do.
"""

import logging
import mimetypes
import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from fastapi import HTTPException, Request, UploadFile
from fastapi.responses import JSONResponse

logger = logging.getLogger(__name__)

# libmagic is a system library and not on every image; the fallback
# knows the types that the product takes and nothing else.

try:
    import magic
except ImportError:
    magic = None
    logger.warning("python-magic not available. Install with: pip install python-magic")

IMAGE_TYPES = frozenset({"image/png", "image/jpeg", "image/webp"})
DOCUMENT_TYPES = frozenset({"application/pdf", "text/plain", "text/markdown"})
VIDEO_TYPES = frozenset({"video/mp4"})

SIGNATURES = {
    "image/png": b"\x89PNG\r\n\x1a\n",
    "image/jpeg": b"\xff\xd8\xff",
    "image/webp": b"RIFF",
    "application/pdf": b"%PDF-",
}
EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
MAX_JSON_BODY = 256 * 1024
READ_SIZE = 64 * 1024


class UnsupportedFileType(HTTPException):
    def __init__(self, found: str) -> None:
        super().__init__(415, f"File type not supported: {found}")


class FileSizeExceeded(HTTPException):
    def __init__(self, limit: int) -> None:
        super().__init__(413, f"File too large, the limit is {limit} bytes")


@dataclass(frozen=True)
class CheckedUpload:
    mime: str
    size: int


def normalise_email(address: str) -> str:
    address = address.strip().lower()
    if not EMAIL.fullmatch(address):
        raise HTTPException(422, "Not a valid e-mail address")
    return address


def detect_mime(head: bytes, filename: str) -> str:
    """The type that the content has, whatever the client calls it."""
    if magic is not None:
        return magic.from_buffer(head, mime=True)
    guessed = mimetypes.guess_type(filename)[0] or "application/octet-stream"
    for mime, signature in SIGNATURES.items():
        if head.startswith(signature):
            return mime
    if guessed in SIGNATURES:
        return "application/octet-stream"
    if head[4:8] == b"ftyp":
        return "video/mp4"
    if guessed.startswith("text/") and b"\x00" not in head:
        return guessed
    return "application/octet-stream"


def validate_upload(file: UploadFile, allowed: frozenset[str], max_bytes: int) -> CheckedUpload:
    """Check an upload and leave it rewound; nothing is kept in memory but the first block."""
    filename = PurePosixPath((file.filename or "").replace("\\", "/")).name
    if filename in {"", ".."}:
        raise HTTPException(422, "The upload has no usable file name")
    head = file.file.read(READ_SIZE)
    size = len(head)
    while size <= max_bytes and (block := file.file.read(READ_SIZE)):
        size += len(block)
    file.file.seek(0)
    if size > max_bytes:
        raise FileSizeExceeded(max_bytes)
    mime = detect_mime(head, filename)
    if mime == "text/plain" and filename.endswith(".md"):
        mime = "text/markdown"
    if mime not in allowed:
        raise UnsupportedFileType(mime)
    return CheckedUpload(mime, size)


def build_validation_middleware(max_json_body: int = MAX_JSON_BODY):
    """A middleware class that turns away oversized JSON bodies and NUL bytes before a handler sees them."""
    from fastapi.middleware.base import BaseHTTPMiddleware

    class RequestValidationMiddleware(BaseHTTPMiddleware):
        async def dispatch(self, request: Request, call_next):
            length = request.headers.get("content-length", "0")
            if not length.isdecimal():
                return JSONResponse({"detail": "Invalid Content-Length"}, 400)
            is_json = request.headers.get("content-type", "").startswith("application/json")
            if is_json and int(length) > max_json_body:
                return JSONResponse({"detail": "Request body too large"}, 413)
            if "%00" in request.url.query or "%00" in request.url.path:
                return JSONResponse({"detail": "Invalid request"}, 400)
            return await call_next(request)

    return RequestValidationMiddleware
