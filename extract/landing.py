"""Land the rows of a run in schema `staging`, as one dlt load."""

import importlib
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pyarrow as pa
from psycopg.conninfo import make_conninfo

# Before dlt is imported: its telemetry starts with the first context.
os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"

import dlt
from dlt.common.configuration import configspec
from dlt.common.configuration.container import Container
from dlt.common.configuration.providers.dictionary import DictionaryProvider
from dlt.common.configuration.providers.provider import ConfigProvider
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext
from dlt.common.runtime.run_context import RunContext
from dlt.destinations.impl.postgres.configuration import PostgresClientConfiguration, PostgresCredentials
from dlt.destinations.impl.postgres.postgres import PostgresClient

from extract.database import describe_failure, url_parameters
from extract.errors import LandingError
from warehouse.database import identity

SCHEMA = "staging"
PIPELINE = "moovitamix"
OWN_TABLES = ("scans", "unreadable_rows", "_dlt_pipeline_state")
"""Landing tables other than the source tables whose rows belong to a load."""

REMOVED = "removed"
"""Content hash of a removal: the key is gone from the source."""

ROW_SCHEMA = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("payload", pa.string()),
        pa.field("content_hash", pa.string(), nullable=False),
    ]
)
UNREADABLE_SCHEMA = pa.schema(
    [
        pa.field("table_name", pa.string(), nullable=False),
        pa.field("key", pa.string()),
        pa.field("raw", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("content_hash", pa.string(), nullable=False),
    ]
)
SCANS_SCHEMA = pa.schema(
    [
        pa.field("table_name", pa.string(), nullable=False),
        # NULL: the source did not say
        pa.field("total", pa.int64()),
        *(
            pa.field(name, pa.int64(), nullable=False)
            for name in (
                "rows_read",
                "rows_unchanged",
                "rows_landed",
                "rows_removed",
                "rows_unreadable",
                "keys_known",
                "passes",
            )
        ),
        # NULL in scans of versions that did not count them.
        *(pa.field(name, pa.int64()) for name in ("keys_unsettled", "keys_delivered", "keys_lost", "keys_changed")),
        pa.field("started_at", pa.timestamp("us", "UTC"), nullable=False),
        pa.field("finished_at", pa.timestamp("us", "UTC"), nullable=False),
    ]
)

Batches = Callable[[], Iterable[pa.RecordBatch]]

_SETTINGS = {
    "runtime": {"dlthub_telemetry": False, "log_level": "CRITICAL"},
    "pipelines": {"runtime": {"intercept_signals": False}},
    "providers": {"enable_airflow_secrets": False},
    "normalize": {"parquet_normalizer": {"add_dlt_load_id": True, "add_dlt_id": True}},
    "data_writer": {"disable_compression": True, "buffer_max_items": 1},
    "load": {"delete_completed_jobs": True, "raise_on_max_retries": 3},
}


class _NoPandas:
    """Find no module named pandas."""

    @staticmethod
    def find_spec(name: str, *_: object) -> None:
        if name == "pandas":
            raise ModuleNotFoundError(name)


def _spare_pandas() -> None:
    """Keep pyarrow from importing pandas at its first array: 40 MB and half a second that no row needs.

    Later imports of pandas still work.
    """
    if "pandas" in sys.modules:
        return
    sys.meta_path.insert(0, _NoPandas)
    try:
        pa.array([])
    finally:
        sys.meta_path.remove(_NoPandas)


_spare_pandas()


class _Context(RunContext):
    """Give dlt its settings from this module only, not from home, project or environment."""

    @property
    def global_dir(self) -> str:
        return self.run_dir

    @property
    def run_dir(self) -> str:
        return self._init_run_dir

    def initial_providers(self) -> list[ConfigProvider]:
        provider = DictionaryProvider()
        provider._config_doc = _SETTINGS
        return [provider]


class _Postgres(dlt.destinations.postgres):
    """Connect dlt's destination with unchanged libpq `parameters`.

    The address that dlt renders loses blanks: in `application_name`, and around a password.
    """

    parameters: dict[str, str]

    @property
    def spec(self) -> type[PostgresClientConfiguration]:
        return _Configuration

    def client(self, schema: dlt.Schema, initial_config: PostgresClientConfiguration = None) -> PostgresClient:
        client = super().client(schema, initial_config)
        credentials = _Credentials(client.sql_client.credentials)
        credentials.conninfo = make_conninfo(**self.parameters)
        client.sql_client.credentials = credentials
        return client


@configspec
class _Configuration(PostgresClientConfiguration):
    def __str__(self) -> str:
        # Only for dlt's trace, which is unused; dlt's own implementation imports SQLAlchemy.
        return PIPELINE


class _Credentials(PostgresCredentials):
    conninfo: str

    def to_native_representation(self) -> str:
        return self.conninfo


def folder_for(connection: psycopg.Connection, working_folder: Path) -> Path:
    """Return the folder below `working_folder` that belongs to the connected database only."""
    return working_folder.resolve() / identity(connection)


def pipeline_in(folder: Path, connection: psycopg.Connection, database_url: str) -> dlt.Pipeline:
    """Return the dlt pipeline with its working files in `folder` and the connected database as destination."""
    Container()[PluggableRunContext] = PluggableRunContext(_Context(str(folder)))
    info = connection.info
    parameters = url_parameters(database_url)
    # Taken from the open connection: the address may name several hosts or none.
    parameters |= {"host": info.host, "port": str(info.port), "user": info.user, "dbname": info.dbname}
    if info.password:
        parameters["password"] = info.password
    destination = _Postgres(
        {
            "host": info.host,
            "port": info.port,
            "username": info.user,
            # dlt requires a password, even if the server does not.
            "password": "none",
            "database": info.dbname,
            "query": {"options": parameters.get("options", "")},
        }
    )
    destination.parameters = parameters
    return dlt.pipeline(
        pipeline_name=PIPELINE,
        pipelines_dir=str(folder),
        destination=destination,
        dataset_name=SCHEMA,
    )


def warm_up() -> None:
    """Import the modules that dlt imports at its first landing (0.25 s), while the network is slow."""
    for module in ("dlt.common.libs.pyarrow", "dlt.sources.helpers.requests", "pyarrow.csv", "pyarrow.parquet"):
        importlib.import_module(module)


def land(
    pipeline: dlt.Pipeline,
    database_url: str,
    tables: Mapping[str, Batches],
    unreadable: Batches,
    scans: pa.RecordBatch,
) -> str:
    """Land everything as one load and return its id.

    `tables` has the rows of each source table (`ROW_SCHEMA`), `unreadable` those that jsonb cannot hold
    (`UNREADABLE_SCHEMA`), `scans` one row per table (`SCANS_SCHEMA`). Raises `LandingError`.
    """
    resources = [_resource(name, ROW_SCHEMA, batches) for name, batches in tables.items()]
    resources.append(_resource("unreadable_rows", UNREADABLE_SCHEMA, unreadable))
    resources.append(_resource("scans", SCANS_SCHEMA, lambda: iter([scans])))
    try:
        with unwrap_interrupts():
            pipeline.sync_destination()
            pipeline.extract(resources, loader_file_format="csv")
            pipeline.normalize()
            load_id = load(pipeline)
    except Exception as error:
        raise LandingError(describe_failure(error, database_url)) from error
    shutil.rmtree(Path(pipeline.working_dir, "load", "loaded"), ignore_errors=True)
    return load_id


@contextmanager
def unwrap_interrupts() -> Iterator[None]:
    """Raise the KeyboardInterrupt for which dlt raises an error of its own: it is no failure of the landing."""
    try:
        yield
    except Exception as error:
        cause: BaseException | None = error
        while cause := cause.__cause__:
            if isinstance(cause, KeyboardInterrupt):
                raise cause from None
        raise


def load(pipeline: dlt.Pipeline) -> str:
    """Load the one normalized package and return its load id."""
    (load_id,) = pipeline.load(workers=4).loads_ids
    return load_id


def _resource(name: str, schema: pa.Schema, batches: Batches) -> dlt.sources.DltResource:
    def rows() -> Iterator[object]:
        is_empty = True
        for batch in batches():
            is_empty = False
            yield pa.Table.from_batches([batch], schema=schema)
        if is_empty:
            yield dlt.mark.materialize_table_schema()

    columns = {field.name: {"nullable": field.nullable, **_kind(field)} for field in schema}
    return dlt.resource(rows, name=name, columns=columns, write_disposition="append")


def _kind(field: pa.Field) -> dict[str, str]:
    if field.name == "payload":
        return {"data_type": "json"}
    if pa.types.is_integer(field.type):
        return {"data_type": "bigint"}
    return {"data_type": "timestamp" if pa.types.is_timestamp(field.type) else "text"}
