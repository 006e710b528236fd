from pydantic import BaseModel
from pydantic import Field as _Field


class SQLModel(BaseModel):
    def __init_subclass__(cls, table=False, **options):
        super().__init_subclass__(**options)


def Field(default=..., **rules):
    return _Field(default, **{key: value for key, value in rules.items() if key not in {"primary_key", "index", "unique", "foreign_key"}})
