"""Read the parameters of a request by a model of the contract.

FastAPI does the same for `Annotated[Model, Query()]`, in several times the time: a tenth of the whole request.
"""

from typing import Any, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

Parameters = TypeVar("Parameters", bound=BaseModel)


def describe_parameters(parameters: type[BaseModel]) -> dict[str, Any]:
    """Return the entry of the OpenAPI document for parameters that `parse_query` reads."""
    fields = parameters.model_json_schema()["properties"].items()
    return {
        "parameters": [
            {"name": name, "in": "query", "required": False, "schema": field}
            | {key: field[key] for key in ("description",) if key in field}
            for name, field in fields
        ]
    }


def parse_query(request: Request, parameters: type[Parameters]) -> Parameters:
    """Return the parameters after the `?`. Raises RequestValidationError."""
    try:
        return parameters.model_validate(dict(request.query_params))
    except ValidationError as error:
        raise RequestValidationError([{**each, "loc": ("query", *each["loc"])} for each in error.errors()]) from None
