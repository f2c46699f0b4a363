"""Read a study file (YAML), validate it by iis_schemas.studies.file, and find the local files that it names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from iis_client.cli.settings.vocabulary_options import PHRASE_SUFFIXES, VocabularySource, parse_vocabulary
from iis_client.errors import ConfigurationError, LocalFileError
from iis_schemas.faults import fault_sentence
from iis_schemas.studies.file import FROM_CLASSES, Source, StudyFile, require_addable_file, require_whole_file
from iis_schemas.studies.rules import GridFault
from iis_schemas.studies.sources import FileDataset, FileModel, FileVlm

MAX_NAME_CHARACTERS = 200


@dataclass(frozen=True)
class LocalStudy:
    """A study file on this machine; relative paths in it are relative to the file."""

    path: Path
    content: StudyFile
    vocabulary: VocabularySource | None

    @property
    def name(self) -> str:
        """Name of the study: the file's own, else the name of the file."""
        return self.content.name or self.path.stem[:MAX_NAME_CHARACTERS]

    def at(self, key: str) -> str:
        """Where an error is: file and key."""
        return f"{self.path.name}: {key}"

    def checkpoints(self, source: FileModel | FileVlm) -> tuple[Path | None, Path | None]:
        """Local files of a model: its checkpoint, and the text tower of an onnx pair."""
        text_path = source.text_path if isinstance(source, FileVlm) else None
        return self._file(source.path), self._file(text_path)

    def data(self, source: FileDataset) -> Path | None:
        """Local file or folder of a data set."""
        return self._file(source.local_path)

    def manifest(self, source: FileDataset) -> Path | None:
        """Local table that names the images of a data set."""
        return self._file(source.manifest.path if source.manifest is not None else None)

    def local_files(self, source: Source) -> Iterator[Path]:
        """Local files and folders of a source."""
        files = (self.data(source), self.manifest(source)) if isinstance(source, FileDataset) else self.checkpoints(source)
        return (file for file in files if file is not None)

    def _file(self, name: str | None) -> Path | None:
        return None if name is None else self.path.absolute().parent / Path(name).expanduser()


def read_study(path: Path) -> LocalStudy:
    """Read a study file.

    Raises
    ------
    LocalFileError
        When the file does not exist. The files that it names are checked by `require_files`.
    ConfigurationError
        When the file is not YAML, or a key or value is not valid; the sentence names the key.
    """
    values = _read_yaml(path)
    try:
        content = StudyFile.model_validate(values)
    except ValidationError as error:
        raise ConfigurationError(f"{path.name}: {fault_sentence(error, StudyFile)}") from error
    return LocalStudy(path, content, _vocabulary(path, content.vocabulary))


def require_complete(study: LocalStudy) -> None:
    """Check the grid of a new study before anything is uploaded.

    Raises
    ------
    ConfigurationError
        When the service would refuse it.
    """
    _require(study, require_whole_file)


def require_addable(study: LocalStudy) -> None:
    """Check additions to a study before anything is uploaded.

    Raises
    ------
    ConfigurationError
        When they contradict each other.
    """
    _require(study, require_addable_file)


def require_files(study: LocalStudy) -> None:
    """Check that the local files of a study exist.

    Raises
    ------
    LocalFileError
        When one does not; the sentence names its key.
    """
    for key, source in study.content.sources().items():
        for file in study.local_files(source):
            is_manifest = isinstance(source, FileDataset) and file == study.manifest(source)
            if file.is_file() or (file.is_dir() and isinstance(source, FileDataset) and source.kind == "images" and not is_manifest):
                continue
            raise LocalFileError(f"{study.at(key)}: there is no {'manifest' if is_manifest else _noun(source)} at {file}.")
    phrases = study.vocabulary.file if study.vocabulary is not None else None
    if phrases is not None and not phrases.is_file():
        raise LocalFileError(f"{study.at('vocabulary')}: there is no file {phrases}.")


def _require(study: LocalStudy, check: Callable[[StudyFile], None]) -> None:
    try:
        check(study.content)
    except GridFault as fault:
        raise ConfigurationError(f"{study.at(f'{fault.param}: ' if fault.param else '')}{fault}") from fault


def _noun(source: Source) -> str:
    if not isinstance(source, FileDataset):
        return "checkpoint"
    return "npz or safetensors file" if source.kind == "features" else "folder of class folders or archive of one"


def _vocabulary(path: Path, value: str | None) -> VocabularySource | None:
    if value is None:
        return None
    if value != FROM_CLASSES and Path(value).suffix.lower() in PHRASE_SUFFIXES:
        return VocabularySource(file=path.absolute().parent / Path(value).expanduser())
    try:
        return parse_vocabulary(value)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path.name}: vocabulary: {error}") from error


def _read_yaml(path: Path) -> Any:
    if not path.is_file():
        raise LocalFileError(f"There is no file {path}; give a study's YAML file.")
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.MarkedYAMLError as error:
        at = f"line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1}" if error.problem_mark else "its text"
        raise ConfigurationError(f"{path.name} is not YAML at {at}: {error.problem or error.context}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path.name} is not UTF-8 text, so it cannot be read as YAML.") from error
