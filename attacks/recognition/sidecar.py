"""The JSON file beside a recogniser's weights that says how its input is made."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from reid_audit.attacks.recognition.align import TEMPLATES, Template
from reid_audit.attacks.recognition.interface import Preprocessing
from reid_audit.metrics.documents import read_json_text
from reid_audit.metrics.errors import InputError

Triple = tuple[float, float, float]
Points = tuple[tuple[float, float], ...]


class Sidecar(BaseModel):
    """Fields of `FILE.json` beside `FILE.onnx` or `FILE.safetensors`.

    `mean` and `std` refer to values of 0 to 1; `template` is a known name or five points in
    pixels of the crop; `batch` is 1 where the
    network takes single pictures only.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = ""
    size: int = Field(ge=16, le=1024)
    channels: Literal["RGB", "BGR"] = "RGB"
    mean: Triple
    std: Triple
    template: str | Points = "arcface112"
    distance: Literal["cosine", "euclidean"] = "cosine"
    licence: str = "unknown"
    batch: Literal["any", 1] = "any"

    @field_validator("std")
    @classmethod
    def _std_is_positive(cls, std: Triple) -> Triple:
        if min(std) <= 0:
            raise ValueError("must be above 0")
        return std

    @field_validator("template")
    @classmethod
    def _template_is_known(cls, template: str | Points) -> str | Points:
        if isinstance(template, str) and template not in TEMPLATES:
            raise ValueError(f"must be one of {', '.join(TEMPLATES)}, or five points")
        if not isinstance(template, str) and len(template) != 5:
            raise ValueError("must have five points")
        return template

    def preprocessing(self) -> Preprocessing:
        """From uint8 to the network's input."""
        return Preprocessing(_levels(self.mean), _levels(self.std), self.channels)

    def crop_template(self) -> Template:
        """How crops are aligned, at the size the network takes."""
        if isinstance(self.template, str):
            return TEMPLATES[self.template].resized(self.size)
        return Template("custom", self.size, self.template)


def read_sidecar(weights: Path) -> Sidecar:
    """The sidecar of a weights file: the same path with the ending `.json`.

    Raises:
        InputError: it is missing or a field is wrong; names both.
    """
    path = weights.with_suffix(".json")
    if not path.is_file():
        raise InputError(
            f"{weights.name} has no {path.name} beside it: write one with size, mean and std "
            "(optional: channels, template, distance, licence, batch)."
        )
    try:
        return Sidecar.model_validate_json(read_json_text(path))
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0]) if first["loc"] else "content"
        reason = first["msg"].removeprefix("Value error, ")
        raise InputError(f"{path.name}: field {field!r} is wrong ({reason}); correct it.") from None


def _levels(shares: Triple) -> Triple:
    """Grey levels of shares of white."""
    red, green, blue = shares
    return 255 * red, 255 * green, 255 * blue
