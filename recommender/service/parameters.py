"""Read the parameters of a request by the models of the contract.

FastAPI does the same for parameters of a function, in several times the time.
"""

from collections.abc import Callable, Coroutine, Mapping
from functools import lru_cache
from typing import Any, Literal, TypeVar
from urllib.parse import parse_qsl

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError

Parameters = TypeVar("Parameters", bound=BaseModel)
Location = Literal["path", "query"]


class RequestRoute(APIRoute):
    """Call a function that takes nothing but the request and returns a response: there is nothing to solve for it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        return self.endpoint


def describe_parameters(query: type[BaseModel], path: type[BaseModel] | None = None) -> dict[str, Any]:
    """Return the entries of the OpenAPI document for parameters that `parse_query` and `parse_path` read."""
    return {"parameters": [*(_describe("path", path) if path else ()), *_describe("query", query)]}


def parse_path(request: Request, parameters: type[Parameters]) -> Parameters:
    """Return the parameters in the path. Raises RequestValidationError."""
    return _parse(request.path_params, "path", parameters)


def parse_query(request: Request, parameters: type[Parameters]) -> Parameters:
    """Return the parameters after the `?`. Raises RequestValidationError."""
    return _parse_query(request.scope["query_string"], parameters)


@lru_cache(128)
def _parse_query(text: bytes, parameters: type[Parameters]) -> Parameters:
    """Return the parameters in a text: an app sends few different ones."""
    return _parse(dict(parse_qsl(text.decode("latin-1"), keep_blank_values=True)), "query", parameters)


def _describe(location: Location, parameters: type[BaseModel]) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": location, "required": location == "path", "schema": field}
        | {key: field[key] for key in ("description",) if key in field}
        for name, field in parameters.model_json_schema()["properties"].items()
    ]


def _parse(values: Mapping[str, str], location: Location, parameters: type[Parameters]) -> Parameters:
    try:
        return parameters.model_validate(values)
    except ValidationError as error:
        raise RequestValidationError([{**each, "loc": (location, *each["loc"])} for each in error.errors()]) from None
