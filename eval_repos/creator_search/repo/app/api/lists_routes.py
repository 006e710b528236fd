from typing import Any, Dict, List

from fastapi import APIRouter, Depends, HTTPException, Response
from pydantic import BaseModel, Field
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.api.deps import get_db
from app.core.clock import utcnow
from app.database.models import CreatorList, CreatorListItem, Profile, User
from app.middleware.auth_middleware import get_current_active_user
from app.services.search_service import get_profile, profile_summary

router = APIRouter(prefix="/lists", tags=["lists"])


class ListCreate(BaseModel):
    name: str = Field(min_length=1, max_length=100)


class ItemCreate(BaseModel):
    username: str = Field(min_length=1, max_length=100)


def _own_list(db: Session, list_id: int, user: User) -> CreatorList:
    creator_list = db.get(CreatorList, list_id)
    if creator_list is None or creator_list.user_id != user.id:
        raise HTTPException(status_code=404, detail="List not found")
    return creator_list


@router.post("", status_code=201)
def create_list(
    payload: ListCreate, current_user: User = Depends(get_current_active_user), db: Session = Depends(get_db)
) -> Dict[str, Any]:
    creator_list = CreatorList(user_id=current_user.id, name=payload.name, created_at=utcnow())
    db.add(creator_list)
    try:
        db.commit()
    except IntegrityError:
        db.rollback()
        raise HTTPException(status_code=409, detail="There is a list of this name already") from None
    return {"id": creator_list.id, "name": creator_list.name}


@router.get("")
def my_lists(
    current_user: User = Depends(get_current_active_user), db: Session = Depends(get_db)
) -> List[Dict[str, Any]]:
    lists = db.scalars(
        select(CreatorList).where(CreatorList.user_id == current_user.id).order_by(CreatorList.name)
    ).all()
    return [{"id": item.id, "name": item.name} for item in lists]


@router.get("/{list_id}")
def list_details(
    list_id: int, current_user: User = Depends(get_current_active_user), db: Session = Depends(get_db)
) -> Dict[str, Any]:
    creator_list = _own_list(db, list_id, current_user)
    profiles = db.scalars(
        select(Profile)
        .join(CreatorListItem, CreatorListItem.profile_id == Profile.id)
        .where(CreatorListItem.list_id == creator_list.id)
        .order_by(CreatorListItem.added_at, Profile.id)
    ).all()
    return {"id": creator_list.id, "name": creator_list.name, "profiles": [profile_summary(p) for p in profiles]}


@router.post("/{list_id}/items", status_code=204)
def add_item(
    list_id: int,
    payload: ItemCreate,
    current_user: User = Depends(get_current_active_user),
    db: Session = Depends(get_db),
) -> Response:
    creator_list = _own_list(db, list_id, current_user)
    profile = get_profile(db, payload.username)
    if profile is None:
        raise HTTPException(status_code=404, detail="Profile not found")
    if db.get(CreatorListItem, (creator_list.id, profile.id)) is None:
        db.add(CreatorListItem(list_id=creator_list.id, profile_id=profile.id, added_at=utcnow()))
        db.commit()
    return Response(status_code=204)
