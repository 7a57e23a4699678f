"""Store artefacts in the warehouse, or in a folder at any fsspec address if they are too large for a row.

The name of a file is the checksum of its content, so a file is never changed, and a killed training leaves at most a
file that `drop_unused` finds. Each warehouse has a subfolder, because no warehouse knows the models of another.
"""

import datetime as dt
import re
from typing import Any

import fsspec
import psycopg
from fsspec.core import url_to_fs

from recommender import artefacts
from recommender.artefacts import Artefact, ArtefactError
from recommender.registry import ModelVersion
from warehouse import database

# Larger ones do not belong into a row of a table, which holds 1 GB at most.
MOST_BYTES = 256 << 20
SUFFIX = ".npz"
OWN_NAME = re.compile(r"[0-9a-f]{64}\.npz(\.part)?")
# A file that no version names may belong to a training that is about to name it.
UNUSED_FOR = dt.timedelta(days=1)


def store(content: bytes | None, folder: str | None, subfolder: str | None = None) -> dict[str, Any]:
    """Store an artefact, and return the columns of recommendations.model_versions that name it. None: there is none.

    Only a file in a subfolder is ever deleted. Raises ArtefactError if it is too large for the warehouse, and there is
    no folder.
    """
    found = {"artefact": None, "artefact_file": None, "checksum": None, "format_version": None}
    found["code_version"] = artefacts.code_version()
    if content is None:
        return found
    found |= {"checksum": artefacts.checksum(content), "format_version": artefacts.FORMAT}
    if len(content) <= MOST_BYTES:
        return {**found, "artefact": content}
    if folder is None:
        raise ArtefactError(
            f"the model has {len(content) >> 20} MB, and a table holds at most {MOST_BYTES >> 20} MB; set"
            " ARTIFACT_FOLDER to a folder that all machines reach"
        )
    name = "/".join(part for part in (subfolder, found["checksum"] + SUFFIX) if part)
    files, path = _open(folder)
    file = f"{path}/{name}"
    try:
        files.makedirs(file.rsplit("/", 1)[0], exist_ok=True)
        # under another name first: so no reader finds half a file
        files.pipe_file(f"{file}.part", content)
        files.mv(f"{file}.part", file)
    except Exception as error:
        raise ArtefactError(f"ARTIFACT_FOLDER cannot be written ({type(error).__name__})") from None
    return {**found, "artefact_file": name}


def load(version: ModelVersion, folder: str | None) -> Artefact:
    """Return the model of a version. Raises ArtefactError if it is missing, damaged, or of another format."""
    content = version.artefact
    if version.artefact_file:
        if folder is None:
            raise ArtefactError("its artefact is a file; set ARTIFACT_FOLDER as on the machine that trained it")
        files, path = _open(folder)
        try:
            content = files.cat_file(f"{path}/{version.artefact_file}")
        except Exception as error:
            raise ArtefactError(f"its file cannot be read from ARTIFACT_FOLDER ({type(error).__name__})") from None
    return artefacts.load(content, version.checksum, version.format_version)


def drop_unused(connection: psycopg.Connection, folder: str | None) -> int:
    """Delete this warehouse's files that no model version names and that are older than a day; return how many.

    Raises ArtefactError if the folder cannot be opened or read, or a file cannot be deleted.
    """
    if folder is None:
        return 0
    subfolder = database.identity(connection)
    used = {
        name
        for (name,) in connection.execute(
            "select artefact_file from recommendations.model_versions where artefact_file is not null"
        )
    }
    files, path = _open(folder)
    dropped = 0
    try:
        own = files.ls(f"{path}/{subfolder}", detail=False) if files.exists(f"{path}/{subfolder}") else []
        for file in own:
            name = file.rsplit("/", 1)[-1]
            is_unused = OWN_NAME.fullmatch(name) and f"{subfolder}/{name}" not in used
            if is_unused and dt.datetime.now(dt.UTC) - files.modified(file) > UNUSED_FOR:
                files.rm_file(file)
                dropped += 1
    except Exception as error:
        raise ArtefactError(f"unused files of ARTIFACT_FOLDER cannot be deleted ({type(error).__name__})") from None
    return dropped


def _open(folder: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """Return the file system of an address, and the path in it. Raises ArtefactError."""
    try:
        files, path = url_to_fs(folder)
    except Exception as error:  # an unknown protocol, or a library that is not installed
        raise ArtefactError(f"ARTIFACT_FOLDER is no address that fsspec can open ({type(error).__name__})") from None
    return files, path.rstrip("/")
