"""The public API."""

from pathlib import Path, PurePosixPath

from fastapi import APIRouter, Depends, HTTPException, Request, Response, UploadFile
from fastapi.responses import FileResponse

from app import usage
from app.auth import (
    create_access_token,
    get_current_user_optional,
    get_current_user_required,
    hash_password,
    password_backend,
    verify_password,
)
from app.database import EmailTaken
from app.input_validation import DOCUMENT_TYPES, VIDEO_TYPES, normalise_email, validate_upload
from app.models import UserRecord
from app.observability import track
from app.rate_limiting import Limit
from app.schemas import ChatReply, ChatRequest, Credentials, DocumentInfo, Profile, Registration, Token, VideoJob, VideoRequest
from app.video_generator import create_job

router = APIRouter()

# What a plan must include, by the name of the route.
ROUTE_SCOPES = {"chat": "chat", "create_video": "video", "upload_clip": "video"}


@router.get("/health")
def health(request: Request) -> dict:
    state = request.app.state
    degraded = [name for name, part in (("agents", state.agents), ("storage", state.storage)) if part.degraded]
    return {"status": "degraded" if degraded else "ok", "version": request.app.version, "degraded": degraded}


@router.get("/health/dependencies")
def health_dependencies() -> dict:
    return {"passwords": password_backend()}


@router.get("/metrics", include_in_schema=False)
def metrics(request: Request) -> Response:
    body, content_type = request.app.state.metrics.render()
    return Response(body, media_type=content_type)


# accounts
@router.post("/auth/register", status_code=201, dependencies=[Depends(Limit("register", 10, 3600))])
def register(request: Request, body: Registration) -> Profile:
    try:
        user = request.app.state.db.create_user(normalise_email(body.email), hash_password(body.password))
    except EmailTaken as error:
        raise HTTPException(409, "There is already an account with this address") from error
    track(user.id, "registered")
    return Profile(id=user.id, email=user.email, plan=user.plan.value)


@router.post("/auth/login", dependencies=[Depends(Limit("login", 20, 300))])
def login(request: Request, body: Credentials) -> Token:
    settings = request.app.state.settings
    user = request.app.state.db.get_user_by_email(normalise_email(body.email))
    if user is None or not verify_password(body.password, user.password_hash):
        raise HTTPException(401, "Wrong e-mail address or password")
    return Token(access_token=create_access_token(user, settings.jwt_secret, settings.access_token_minutes))


@router.get("/me")
def me(user: UserRecord = Depends(get_current_user_required)) -> Profile:
    return Profile(id=user.id, email=user.email, plan=user.plan.value)


# agents
@router.get("/agents")
def list_agents(request: Request, user: UserRecord | None = Depends(get_current_user_optional)) -> list[dict]:
    agents = request.app.state.agents.list()
    if user is None:
        return [{"slug": agent.slug, "name": agent.name} for agent in agents]
    return [agent.as_dict() for agent in agents]


@router.post("/chat", dependencies=[Depends(Limit("chat", 30))])
def chat(request: Request, body: ChatRequest, user: UserRecord = Depends(get_current_user_required)) -> ChatReply:
    state = request.app.state
    usage.check_quota(state.db, user)
    agent = state.agents.get(body.agent)
    use_documents = body.use_documents and state.flags.is_enabled("document-context", user.id)
    answer, tokens = state.chat.reply(user, agent, body.message, use_documents)
    usage.record_event(state.db, user.id, "chat", tokens)
    track(user.id, "chat", {"agent": agent.slug, "tokens": tokens})
    return ChatReply(agent=agent.slug, reply=answer, tokens=tokens)


# files
@router.post("/documents", status_code=201, dependencies=[Depends(Limit("upload", 20))])
def upload_document(request: Request, file: UploadFile, user: UserRecord = Depends(get_current_user_required)) -> DocumentInfo:
    state = request.app.state
    checked = validate_upload(file, DOCUMENT_TYPES, state.settings.max_upload_bytes)
    path = state.storage.save(f"{user.id}/{file.filename}", file.file, checked.mime)
    stored = path.relative_to(state.storage.local.root).as_posix()
    document = state.db.add_document(user.id, PurePosixPath(file.filename).stem, stored, checked.mime)
    track(user.id, "document uploaded", {"mime": checked.mime, "bytes": checked.size})
    return DocumentInfo(id=document.id, title=document.title, path=document.path, mime=document.mime)


@router.get("/documents")
def list_documents(request: Request, user: UserRecord = Depends(get_current_user_required)) -> list[DocumentInfo]:
    documents = request.app.state.db.list_documents(user.id)
    return [DocumentInfo(id=entry.id, title=entry.title, path=entry.path, mime=entry.mime) for entry in documents]


@router.put("/me/avatar", dependencies=[Depends(Limit("upload", 20))])
def upload_avatar(request: Request, file: UploadFile, user: UserRecord = Depends(get_current_user_required)) -> dict[str, str]:
    suffix = PurePosixPath(file.filename or "").suffix.lower()
    name = f"{user.id}/avatar{suffix}"
    request.app.state.storage.save(name, file.file, file.content_type or "application/octet-stream")
    return {"path": name}


@router.post("/clips", status_code=201, dependencies=[Depends(Limit("upload", 20))])
def upload_clip(request: Request, file: UploadFile, user: UserRecord = Depends(get_current_user_required)) -> dict[str, str]:
    state = request.app.state
    checked = validate_upload(file, VIDEO_TYPES, 5 * state.settings.max_upload_bytes)
    clip = PurePosixPath(file.filename.replace("\\", "/")).name
    state.storage.save(f"{user.id}/{clip}", file.file, checked.mime)
    return {"clip": clip}


@router.get("/files/{name:path}")
def download(request: Request, name: str, user: UserRecord = Depends(get_current_user_required)) -> FileResponse:
    if not name.startswith(f"{user.id}/"):
        raise HTTPException(404, "No such file")
    path = Path(request.app.state.settings.upload_dir) / name
    if not path.is_file():
        raise HTTPException(404, "No such file")
    return FileResponse(path)


# videos
@router.post("/videos", status_code=202, dependencies=[Depends(Limit("video", 5))])
def create_video(request: Request, body: VideoRequest, user: UserRecord = Depends(get_current_user_required)) -> VideoJob:
    state = request.app.state
    if not state.flags.is_enabled("video-jobs", user.id):
        raise HTTPException(503, "Video jobs are switched off")
    job_id, seconds = create_job(state.storage.local, state.settings.video_jobs_dir, user.id, body.title, body.clips)
    track(user.id, "video requested", {"seconds": seconds})
    return VideoJob(job_id=job_id, seconds=seconds)
