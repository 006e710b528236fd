import logging
from typing import Dict, List
from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException, Query, Request

from errors import PublicError
from middleware.auth import get_current_user
from models.generation import GenerationCreate, GenerationPage, GenerationResponse, ModelInfo
from models.user import CurrentUser
from services.generation_service import generation_service

logger = logging.getLogger(__name__)

router = APIRouter(prefix="/generations", tags=["generations"])


@router.get("/models", response_model=List[ModelInfo])
async def list_models() -> List[ModelInfo]:
    return generation_service.list_models()


@router.post("", response_model=GenerationResponse, status_code=202)
async def create_generation(
    request: Request, generation_data: GenerationCreate, current_user: CurrentUser = Depends(get_current_user)
) -> GenerationResponse:
    auth_token = request.headers.get("Authorization", "").removeprefix("Bearer ")
    logger.info(f"🔑 [GENERATION-API] Auth token extracted for user {current_user.id}: {auth_token[:20]}...")

    try:
        generation = await generation_service.create_generation(current_user.id, generation_data)
    except Exception as e:
        logger.error(f"❌ [GENERATION-API] Generation failed for user {current_user.id}: {e}")
        raise HTTPException(status_code=503, detail="Service temporarily unavailable")

    logger.info("[GENERATION-API] Generation %s accepted for user %s", generation.id, current_user.id)
    return generation


@router.get("", response_model=GenerationPage)
async def list_generations(
    offset: int = Query(default=0, ge=0),
    limit: int = Query(default=20, ge=1, le=100),
    current_user: CurrentUser = Depends(get_current_user),
) -> GenerationPage:
    try:
        return await generation_service.list_generations(current_user.id, offset, limit)
    except Exception as e:
        logger.exception("[GENERATION-API] Listing failed for user %s", current_user.id)
        raise HTTPException(status_code=500, detail=f"Failed to list generations: {str(e)}") from e


@router.get("/{generation_id}", response_model=GenerationResponse)
async def get_generation(
    generation_id: UUID, current_user: CurrentUser = Depends(get_current_user)
) -> GenerationResponse:
    return await generation_service.get_generation(current_user.id, str(generation_id))


@router.get("/{generation_id}/media")
async def get_media(
    generation_id: UUID, current_user: CurrentUser = Depends(get_current_user)
) -> Dict[str, List[str]]:
    return {"urls": await generation_service.get_media_urls(current_user.id, str(generation_id))}


@router.delete("/{generation_id}", status_code=204)
async def delete_generation(generation_id: UUID, current_user: CurrentUser = Depends(get_current_user)) -> None:
    try:
        await generation_service.delete_generation(current_user.id, str(generation_id))
    except PublicError as error:
        raise HTTPException(status_code=error.status_code, detail=str(error)) from error
    except Exception as e:
        logger.exception("[GENERATION-API] Deleting generation %s failed", generation_id)
        raise HTTPException(status_code=500, detail=f"Delete failed: {e}") from e
