"""A golden set: questions, who asks them, and what must come out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from evals.json_lines import read_json_lines
from ingest.errors import BadInput
from orchestrator.principal_fields import PrincipalFields
from retrieval.access import Principal


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value if value is not None else ()


Names = Annotated[tuple[str, ...], BeforeValidator(_listed)]


class GoldenCase(BaseModel):
    """One question with what must come out. Fields that are not named here are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", coerce_numbers_to_str=True)

    id: str = Field(min_length=1)
    question: str
    answerable: bool  # by what its principal may read
    kind: str | None = None  # what sort of case it is; `a/b` is counted under `a` too
    reference: Names = ()  # texts, one of which a right answer cites
    reference_ids: Names = ()  # documents that hold the answer
    must_cite: Names = ()  # documents, all of which an answer must cite
    must_not_cite: Names = ()  # documents, none of which an answer may cite
    as_principal: PrincipalFields | None = None

    @property
    def principal(self) -> Principal | None:
        """Who asks, None where the case does not say."""
        return self.as_principal.principal() if self.as_principal else None


def read_golden(path: Path) -> tuple[GoldenCase, ...]:
    """The cases of a .jsonl file. Raises BadInput for one that cannot be used, and for a file without any."""
    cases: dict[str, GoldenCase] = {}
    for place, record in read_json_lines(path):
        case = _case(place, record)
        if case.id in cases:
            step = "Give each case an id of its own."
            raise BadInput(place, "duplicate_id", f"The case {case.id} came before.", step)
        cases[case.id] = case
    if not cases:
        raise BadInput(str(path), "no_cases", "The set has no case.", "Write one JSON object a line.")
    return tuple(cases.values())


def _case(place: str, record: dict[str, Any]) -> GoldenCase:
    try:
        return GoldenCase.model_validate(record)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        step = "Give each case its id, question and answerable; the other fields may be left out."
        raise BadInput(place, "bad_case", f"The field {field} cannot be used: {first['msg']}.", step) from error
