"""What `reid-audit anonymize` wrote beside its pictures: how and where each was anonymised."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from pydantic import BaseModel, ConfigDict, ValidationError

from reid_audit.audit.data.items import Box
from reid_audit.metrics.documents import read_json_text
from reid_audit.metrics.errors import InputError

SIDECAR = "anonymized.json"


class SidecarPicture(BaseModel):
    """One picture: `path` below the sidecar's folder and the boxes that were processed."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    path: str
    region: tuple[Box, ...] = ()
    face_width: float | None = None
    spec: str | None = None
    """Where the method was scaled to each face, the spec used on this one."""


class Sidecar(BaseModel):
    """The sidecar's fields an audit needs; others are for the reader."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    spec: str
    pictures: tuple[SidecarPicture, ...] = ()


def read_sidecar(folder: Path) -> Sidecar | None:
    """The sidecar of a folder of anonymised pictures, or None when there is none.

    Raises:
        InputError: it cannot be read.
    """
    path = folder / SIDECAR
    if not path.is_file():
        return None
    try:
        sidecar = Sidecar.model_validate_json(read_json_text(path))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "the file"
        raise InputError(f"{path}: {field}: {first['msg']}; repair or delete it.") from error
    for number, picture in enumerate(sidecar.pictures):
        parts = PurePosixPath(picture.path).parts
        if ".." in parts or "\0" in picture.path or picture.path.startswith("/"):
            raise InputError(
                f"{path}: pictures.{number}.path {picture.path[:80]!r} leads outside its folder; "
                "repair or delete it."
            )
    return sidecar
