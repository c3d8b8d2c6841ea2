"""Views as JSON and JSON as typed requests: field names stay, times are ISO 8601 UTC, money stays integer."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from decimal import Decimal
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar

from flask import request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from werkzeug.exceptions import BadRequest

from portal.domain.errors import Invalid

MAX_WAIT = 30.0
HIDDEN = frozenset({"local_path"})


class Body(BaseModel):
    """A JSON request body: unknown fields and guessed types are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class AgreementBody(Body):
    digest: str = Field(min_length=1, max_length=200)


class AffiliationBody(Body):
    affiliated: bool
    statement: str = Field(default="", max_length=2000)


class RulingBody(Body):
    verdict: str = Field(max_length=20)
    reason: str = Field(max_length=5000)


Model = TypeVar("Model", bound=Body)


def plain(value: Any) -> Any:
    """``value`` as what JSON knows. A number that is not finite becomes null; bytes and paths never leave."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value) if f.name not in HIDDEN}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, (bytes, Path)):
        raise TypeError(f"{type(value).__name__} has no place in an answer")
    return value


def body(model: type[Model]) -> Model:
    """The JSON body as ``model``. Raises BadRequest when it is no JSON object, Invalid when fields are wrong."""
    found = request.get_json()
    if not isinstance(found, dict):
        raise BadRequest
    try:
        return model.model_validate(found)
    except ValidationError as error:
        raise Invalid({".".join(map(str, fault["loc"])) or "body": fault["msg"] for fault in error.errors()}) from None


def wait_seconds() -> float:
    """The ``wait`` parameter: 0 to 30 seconds, 0 without it. Raises Invalid for anything else or more than one."""
    found = request.args.getlist("wait")
    if not found:
        return 0.0
    try:
        seconds = float(found[0])
    except ValueError:
        seconds = -1.0
    if len(found) > 1 or not 0 <= seconds <= MAX_WAIT:
        raise Invalid({"wait": f"Send one number of seconds from 0 to {MAX_WAIT:.0f}."})
    return seconds
