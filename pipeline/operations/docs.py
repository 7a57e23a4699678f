"""Generate the dbt docs as one static page, and serve it on loopback.

dbt's own page cuts the texts of columns, draws each unit test in the lineage, and is too wide for a phone. This page
has the same content with a style of its own, without the unit tests, and with the size and age of each table.
"""

import functools
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psycopg

from monitoring.listen_errors import translate_listen_errors
from pipeline.run.dbt import Dbt, target_folder, to_command_error
from warehouse import database
from warehouse.database import Warehouse
from warehouse.errors import ExitCode

HOST = "127.0.0.1"
MANIFEST, CATALOG = '"MANIFEST.JSON INLINE DATA"', '"CATALOG.JSON INLINE DATA"'
STYLE = Path(__file__).parent / "docs.css"

# Estimates of the planner: counting would read every table. A partitioned table has none of its own.
TABLE_SIZES = """
select
    schemas.nspname,
    tables.relname,
    coalesce(sum(parts.reltuples) filter (where parts.reltuples >= 0), 0)::bigint as row_count,
    max(builds.built_at) as built_at
from pg_class as tables
inner join pg_namespace as schemas on tables.relnamespace = schemas.oid
left join pg_inherits on tables.oid = pg_inherits.inhparent
inner join pg_class as parts on coalesce(pg_inherits.inhrelid, tables.oid) = parts.oid
left join (
    select
        builds.model,
        publications.published_at as built_at
    from prep.builds
    inner join gate.publications on builds.seq = publications.seq
) as builds on schemas.nspname || '.' || tables.relname = builds.model
where tables.relkind in ('r', 'p')
group by 1, 2
"""


def page() -> Path:
    """Return the path of the page that `make` writes."""
    return target_folder() / "static_index.html"


def make(warehouse: Warehouse) -> Path:
    """Generate the docs of the current warehouse, and return the page. Raises CommandError."""
    warehouse = warehouse.at_work("build")
    database.export(warehouse)
    outcome = Dbt().invoke("docs", "generate")
    if not outcome.succeeded:
        raise to_command_error(outcome, warehouse, ExitCode.BUILD_FAILED, "the docs could not be generated")
    with warehouse.connect() as connection, database.translate_database_errors(warehouse):
        _write_page(connection, target_folder())
    return page()


def _write_page(connection: psycopg.Connection, folder: Path) -> None:
    """Write dbt's page with its data, as `docs generate --static` does, and with our style."""
    manifest, catalog = (json.loads((folder / f"{name}.json").read_text()) for name in ("manifest", "catalog"))
    unit_tests = manifest["unit_tests"].keys()
    manifest["unit_tests"] = {}
    for relatives in (manifest["parent_map"], manifest["child_map"]):
        for name in unit_tests & relatives.keys():
            del relatives[name]
        for name, others in relatives.items():
            relatives[name] = [other for other in others if other not in unit_tests]
    _add_sizes(connection, catalog)
    text = (folder / "index.html").read_text()
    for place, data in ((MANIFEST, manifest), (CATALOG, catalog)):
        # no text may end the script
        text = text.replace(place, json.dumps(data).replace("</", "<\\/"))
    page().write_text(text.replace("</head>", f"<style>{STYLE.read_text()}</style></head>", 1))


def _add_sizes(connection: psycopg.Connection, catalog: dict[str, Any]) -> None:
    """Add the number of rows and the newest publication of each table to the statistics that dbt's page shows."""
    sizes = {(schema, name): (rows, built_at) for schema, name, rows, built_at in connection.execute(TABLE_SIZES)}
    for node in (*catalog["nodes"].values(), *catalog["sources"].values()):
        rows, built_at = sizes.get((node["metadata"]["schema"], node["metadata"]["name"]), (None, None))
        stats = node["stats"]
        if rows is not None:
            stats["row_count"] = _statistic("row_count", "Approximate rows", rows)
        if built_at is not None:
            stats["built_at"] = _statistic("built_at", "Newest publication", f"{built_at:%Y-%m-%d %H:%M} UTC")
        if len(stats) > 1:
            stats["has_stats"] |= {"value": True}


def _statistic(name: str, label: str, value: object) -> dict[str, Any]:
    return {"id": name, "label": label, "value": value, "include": True, "description": label}


def server(port: int) -> ThreadingHTTPServer:
    """Return a listening server of the page; `port` 0 takes any free port. Raises CommandError(WRONG_SETTINGS)."""
    with translate_listen_errors(HOST, port, "--port or DOCS_PORT"):
        return ThreadingHTTPServer((HOST, port), functools.partial(_OnePage, page()))


class _OnePage(BaseHTTPRequestHandler):
    """Serve the current page, and no other file of its folder."""

    def __init__(self, page: Path, *arguments: Any) -> None:
        self._page = page
        super().__init__(*arguments)

    def do_GET(self) -> None:
        if self.path.partition("?")[0] != "/":
            # dbt's page requests images by unrendered names, `{{ getIcon(item.type, 'on') }}`: a 404 for each would
            # fill the console of the browser.
            self.send_response(204)
            self.end_headers()
            return
        content = self._page.read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Log nothing."""
