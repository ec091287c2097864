"""What all configuration models share: frozen, no unknown key, no silent conversion of types."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

Item = TypeVar("Item")


class Model(BaseModel):
    """A part of stream_config.yaml.  The text under a field is its line in the reference."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
        protected_namespaces=(),
    )


Sequence = Annotated[tuple[Item, ...], Field(strict=False)]
"""A list in the file, a tuple in the model."""

Seconds = Annotated[float, Field(gt=0, le=10 * 366 * 86_400)]
Scalar = str | int | float | bool


def refusal(expected: str, near: str | None = None) -> PydanticCustomError:
    """What a validator raises: the words after `expected`, and the nearest valid value."""
    context: dict[str, Any] = {"expected": expected, "near": near}
    return PydanticCustomError("refused", "{expected}", context)
