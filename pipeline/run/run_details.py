"""Turn the results of a run into rows of the tables in `ops`: counts, and names of tables, rules and models.

They contain no data of source rows, so an erasure does not have to search them.
"""

from collections.abc import Iterable, Iterator, Mapping

from expectations.gate import Verdict
from extract.extraction import Extraction
from extract.pages import Traffic
from pipeline.run.dbt import DbtOutcome

SCAN_FIGURES = (
    "rows_read",
    "rows_unchanged",
    "rows_landed",
    "rows_removed",
    "rows_unreadable",
    "keys_unsettled",
    "keys_changed",
)

Row = dict[str, object]


def make_table_rows(traffic: Mapping[str, Traffic], extraction: Extraction | None) -> Iterator[Row]:
    """Yield rows of `ops.run_tables`: the requests and, if the extraction succeeded, the counts of its scan."""
    for name, asked in traffic.items():
        row = {"table_name": name, **vars(asked)}
        if extraction:
            scan = extraction.scans[name]
            row |= {figure: getattr(scan, figure) for figure in SCAN_FIGURES}
            row |= {"load_id": extraction.load_id, "bytes_landed": extraction.bytes_landed[name]}
        yield row


def make_column_rows(extraction: Extraction) -> Iterator[Row]:
    """Yield rows of `ops.run_columns`."""
    for name, fields in extraction.fields.items():
        for field, count in fields.items():
            yield {"table_name": name, "column_name": field, **count._asdict()}


def make_load_rows(verdicts: Iterable[Verdict]) -> Iterator[Row]:
    """Yield rows of `ops.run_loads`: the verdicts. The failed rules are in gate.loads."""
    for verdict in verdicts:
        yield {
            "load_id": verdict.batch.load_id,
            "table_name": verdict.batch.table,
            "state": verdict.state,
            "rows_quarantined": verdict.rows_quarantined,
        }


def make_node_rows(step: str, outcome: DbtOutcome | None) -> Iterator[Row]:
    """Yield rows of `ops.run_nodes`: the models and tests of the step, including skipped ones."""
    for node in outcome.nodes if outcome else ():
        yield {"step": step, **vars(node)}
