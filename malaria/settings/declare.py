"""declare: how a setting is declared, the types that settings have, and their former names."""

import os
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic.fields import FieldInfo

from malaria.base import patterns as base_patterns
from malaria.base.errors import UserError
from malaria.base.streams import log
from malaria.base.text import is_plain_name
from malaria.data.training_folders import TrainingFolder, name_of
from malaria.model import NETWORKS, expected_in_place_of, find_network
from malaria.pictures.images import MAX_SIDE


def setting(default: Any, meaning: str, *, section: str = "", was: str = "", **limits: Any) -> Any:
    """The declaration of one setting.

    meaning: what it does, with its unit. section: a heading of config.yaml that begins with this
    setting. was: a former name, which still works. limits: as pydantic's Field has them.
    """
    known: dict[str, JsonValue] = {"section": section, "was": was}
    return Field(default, description=meaning, json_schema_extra=known, **limits)


def _must(is_right: Callable[[Any], bool], expected: str) -> Callable[[Any], Any]:
    """A validator that gives the value back. It raises ValueError."""

    def validate(value: Any) -> Any:
        if not is_right(value):
            raise ValueError(f"expected {expected}")
        return value

    return validate


Flag = Annotated[bool, Field(strict=True)]
# More would fill the memory before the first step is done.
Steps = Annotated[int, Field(strict=True, ge=1, le=100_000)]
BatchSize = Annotated[int, Field(strict=True, ge=1, le=4096)]
Side = Annotated[int, Field(strict=True, ge=1, le=MAX_SIDE)]
# PyYAML reads 1e-4 as text, so text that is a number counts as one.
NoFlag = BeforeValidator(_must(lambda value: not isinstance(value, bool), "a number"))
Finite = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[Finite, Field(ge=0, lt=1), NoFlag]
Whole = Annotated[Finite, Field(ge=0, le=1), NoFlag]
# A label is a folder below train_images, never a way out of it.
_is_folder = _must(is_plain_name, "the name of a folder in train_images")
Label = Annotated[str, Field(max_length=200), AfterValidator(_is_folder)]
MAX_TEXT = 4096
Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]
_differ = _must(lambda labels: len(set(labels)) == len(labels), "labels that differ")
# Of a set the order is any, and the order of the labels is that of the network's answers.
_is_list = BeforeValidator(_must(lambda labels: isinstance(labels, list | tuple), "a list"))
Labels = Annotated[tuple[Label, ...], Field(min_length=2), AfterValidator(_differ), _is_list]
Pattern = Annotated[str, AfterValidator(lambda text: base_patterns.Pattern(text).text)]
# A list of more folders than this is a mistake.
MAX_FOLDERS = 100
PATHS = "a folder, or a list of folders"
FOLDERS = "a folder or a table, or a list, each a text or {folder, name, patient_pattern}"


def _known_network(name: str) -> str:
    try:
        find_network(name)
    except UserError:
        raise ValueError(expected_in_place_of(name)) from None
    return name


KNOWN_NETWORKS = f"{', '.join(NETWORKS)}, or keras.NAME"
NetworkName = Annotated[
    Text, AfterValidator(_known_network), WithJsonSchema({"allowed": KNOWN_NETWORKS})
]


def former_names(settings: type[BaseModel]) -> dict[str, str]:
    """{former name: name} of the settings that were renamed."""
    fields = settings.model_fields.items()
    return {was: name for name, field in fields if (was := extra_of(field, "was"))}


def extra_of(field: FieldInfo, key: str) -> str:
    """The "section" or the former name ("was") of a setting; "" where it has none."""
    extra = field.json_schema_extra
    return str(extra[key]) if isinstance(extra, dict) else ""


def rename(settings: type[BaseModel], values: dict[str, Any]) -> dict[str, Any]:
    """`values` with the present names in place of former ones, of which each is logged.

    Where both are given the former one stays, and is refused as unknown.
    """
    names = {was: name for was, name in former_names(settings).items() if name not in values}
    for was, name in names.items():
        if was in values:
            log(f"the setting {was} is now called {name}; the former name still works")
    return {names.get(key, key): value for key, value in values.items()}


class Settings(BaseModel):
    """Settings that take their former names too, and no unknown ones."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _rename(cls, values: Any) -> Any:
        return rename(cls, values) if isinstance(values, dict) else values


def _paths(value: Any) -> Any:
    try:
        return _TEXTS.validate_python((value,) if isinstance(value, str) else value)
    except ValidationError:
        raise ValueError(f"expected {PATHS}") from None


_TEXTS: TypeAdapter[tuple[Text, ...]] = TypeAdapter(
    Annotated[tuple[Text, ...], Field(min_length=1, max_length=MAX_FOLDERS)]
)
Paths = Annotated[tuple[str, ...], BeforeValidator(_paths), WithJsonSchema({"allowed": PATHS})]


class FolderEntry(Settings):
    """One of several folders of images, as a config names it; None: see Config.folders."""

    folder: Text
    name: Label | None = None
    patient_pattern: Pattern | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return value if isinstance(value, dict | FolderEntry) else {"folder": value}

    def to_source(self, pattern: str, is_one_of_several: bool) -> TrainingFolder:
        """The source that it names; pattern: of the patients, where it has none of its own."""
        name, pattern = self.name or name_of(self.folder), self.patient_pattern or pattern
        return TrainingFolder(self.folder, name, pattern, is_one_of_several)


_ENTRIES: TypeAdapter[tuple[FolderEntry, ...]] = TypeAdapter(
    Annotated[tuple[FolderEntry, ...], Field(min_length=1, max_length=MAX_FOLDERS)]
)


def _folders(value: Any) -> Any:
    if isinstance(value, str):
        if not 0 < len(value) <= MAX_TEXT:
            raise ValueError(f"expected a folder's name of 1 to {MAX_TEXT} characters")
        return value
    try:
        entries = _ENTRIES.validate_python(value)
    except ValidationError as error:
        raise ValueError(f"expected {FOLDERS}{_reason(error)}") from None
    if len({os.path.abspath(one.folder) for one in entries}) < len(entries):
        raise ValueError("expected folders that differ")
    if len({one.name or name_of(one.folder) for one in entries}) < len(entries):
        raise ValueError("expected folders whose names differ: give each a name")
    return entries


def _reason(error: ValidationError) -> str:
    """The problem of a key of a FolderEntry, if it is one."""
    fault = error.errors(include_url=False)[0]
    reason = fault["msg"].removeprefix("Value error, ")
    key = fault["loc"][-1] if fault["loc"] else 0
    return f"; {key}: {reason[0].lower()}{reason[1:]}" if isinstance(key, str) else ""


# Not a tuple of its own validators, whose messages would name each way that did not fit.
Folders = Annotated[
    str | tuple[FolderEntry, ...], BeforeValidator(_folders), WithJsonSchema({"allowed": FOLDERS})
]
