"""How long what a run leaves behind is kept, by classification: data beside the policies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ingest.errors import BadInput
from ingest.tags import Classification
from orchestrator.policy.files import RETENTION, PolicyFiles

Word = Annotated[str, Field(min_length=1, max_length=500)]


class Retention(BaseModel):
    """One rule of `retention.yaml`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: Word
    owner: Word
    description: Word
    days: int = Field(ge=1, le=36_500)
    keeps: Literal["contents", "facts"]


class _Rules(BaseModel):
    """One rule for each classification."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    public: Retention
    internal: Retention
    confidential: Retention
    regulated: Retention


def read_retention(files: PolicyFiles) -> Mapping[Classification, Retention]:
    """The rule of each classification. Raises BadInput with the place of what is wrong."""
    place = str(files.folder / RETENTION)
    try:
        rules = _Rules.model_validate(yaml.safe_load(files.retention))
    except (yaml.YAMLError, RecursionError) as error:
        line = getattr(getattr(error, "problem_mark", None), "line", 0) + 1
        cause = f"Line {line} is no YAML: {getattr(error, 'problem', None) or 'it cannot be read'}."
        raise BadInput(place, "bad_retention", cause, "Correct the line.") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise BadInput(place, "bad_retention", f"At {where}: {first['msg']}.", "Correct the rule.") from error
    return {one: getattr(rules, one.name) for one in Classification}
