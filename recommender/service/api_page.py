"""Show the OpenAPI document as one page without scripts: the usual pages fetch theirs from other servers."""

import base64
import hashlib
import json
from collections.abc import Iterator
from html import escape
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 52rem; margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere; }
section { border-top: 1px solid #8886; padding: 1rem 0; }
h2 { font-size: 1.1rem; } h3 { font-size: .9rem; opacity: .75; margin-bottom: .2rem; }
code { font: .92em ui-monospace, monospace; } dt { font-weight: 600; } dd { margin: 0 0 .4rem 1rem; }
"""
POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    + "'"
)

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def show_api(request: Request) -> HTMLResponse:
    return HTMLResponse("".join(_page(request.app.openapi())), headers={"Content-Security-Policy": POLICY})


def _page(document: dict[str, Any]) -> Iterator[str]:
    schemas = document["components"]["schemas"]
    title = escape(document["info"]["title"])
    yield f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
    yield f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style>'
    yield f"<h1>{title}</h1><p>{escape(document['info']['description'])}</p>"
    yield '<p>The same for programs: <a href="/openapi.json">/openapi.json</a></p>'
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield f"<section><h2><code>{method.upper()} {escape(path)}</code></h2>"
            yield f"<p>{escape(operation.get('description', operation['summary']))}</p>"
            parameters = operation.get("parameters", [])
            texts = {each["name"]: f"{_shown(each['schema'])}. {each.get('description', '')}" for each in parameters}
            yield from _entries("Parameters", texts)
            for content in operation.get("requestBody", {}).get("content", {}).values():
                yield from _entries("Body", _fields(content["schema"], schemas))
            for status, answer in operation["responses"].items():
                for content in answer.get("content", {}).values():
                    yield from _entries(f"{status}: {answer['description']}", _fields(content["schema"], schemas))
            yield "</section>"


def _entries(title: str, entries: dict[str, str]) -> Iterator[str]:
    if entries:
        yield f"<h3>{escape(title)}</h3><dl>"
        for name, text in entries.items():
            yield f"<dt><code>{escape(name)}</code></dt><dd>{escape(text.strip())}</dd>"
        yield "</dl>"


def _fields(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, str]:
    found = schemas.get(schema.get("$ref", "").rpartition("/")[2], schema)
    return {name: _shown(field) for name, field in found.get("properties", {}).items()}


def _shown(schema: dict[str, Any]) -> str:
    """Return a type in words, such as `integer, 1 to 50, default 20`."""
    if "anyOf" in schema:
        return " or ".join(_shown(each) for each in schema["anyOf"])
    kind = schema.get("$ref", "").rpartition("/")[2] or str(schema.get("type", "object"))
    if kind == "array":
        kind = f"array of {_shown(schema['items'])}"
    parts = [kind, *(f"one of {', '.join(schema['enum'])}" for _ in range("enum" in schema))]
    for word, keys in (("at least", ("minimum", "minLength")), ("at most", ("maximum", "maxLength", "maxItems"))):
        parts += [f"{word} {schema[key]}" for key in keys if key in schema]
    if "default" in schema:
        parts.append(f"default {json.dumps(schema['default'])}")
    return ", ".join(parts)
