"""What the parts of a manifest are made of: kinds of text, times of day, dates, and fields that came later."""

from __future__ import annotations

import re
from datetime import date, datetime
from functools import partial
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer
from pydantic_core import PydanticCustomError

_HOUR = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
_HOUR_OR_MIDNIGHT = r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"


def _clock_time(pattern: str, value: object) -> object:
    """Some readers of YAML take 10:00 for the number 600: only text is a time of day."""
    if isinstance(value, str) and re.fullmatch(pattern, value):
        return value
    raise PydanticCustomError("clock_time", "is not a time of day")


def _calendar_day(value: object) -> object:
    """A day, and not what pydantic would also take for one: a number of seconds, or a moment."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise PydanticCustomError("calendar_day", "is not in the calendar") from None
    raise PydanticCustomError("calendar_day", "is not a date")


Name = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
OptionalLine = Annotated[str, Field(max_length=255, pattern=r"^[^\r\n]*$")]
Line = Annotated[OptionalLine, Field(min_length=1)]
Hour = Annotated[str, Field(pattern=_HOUR), BeforeValidator(partial(_clock_time, _HOUR))]
HourOrMidnight = Annotated[
    str, Field(pattern=_HOUR_OR_MIDNIGHT), BeforeValidator(partial(_clock_time, _HOUR_OR_MIDNIGHT))
]
CalendarDay = Annotated[date, Field(ge=date(2000, 1, 1), le=date(2999, 12, 31)), BeforeValidator(_calendar_day)]


def since(release: str) -> dict[str, Any]:
    """Marks a field that came with this release, as `json_schema_extra`; it has a default."""
    return {"since": release}


class Part(BaseModel):
    """A group of fields. What came after the first release is only put out once it differs from its default.

    So a new release changes no digest and voids no approval, and the release before it can read what is stored.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", serialize_by_alias=True)

    @model_serializer(mode="wrap")
    def _as_first_released(self, plain: SerializerFunctionWrapHandler) -> dict[str, object]:
        later = [item for item in type(self).model_fields.items() if item[1].json_schema_extra]
        unused = {name for name, field in later if getattr(self, name) == field.get_default()}
        return {name: value for name, value in plain(self).items() if name not in unused}
