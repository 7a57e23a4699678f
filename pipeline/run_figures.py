"""What a run read, landed, judged and built, as rows of the tables in `ops`: figures, and names of ours.

Nothing that a row says is among them, so an erasure has nothing to look for there.
"""

from collections.abc import Iterable, Iterator, Mapping

import extract
from expectations.gate import Judgement
from pipeline.dbt import DbtOutcome

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


def of_tables(traffic: Mapping[str, extract.Traffic], extraction: extract.Extraction | None) -> Iterator[Row]:
    """`ops.run_tables`: what was asked of the source and, if the pull did not fail, what came of it."""
    for name, asked in traffic.items():
        row = {"table_name": name, **vars(asked)}
        if extraction:
            scan = extraction.scans[name]
            row |= {figure: getattr(scan, figure) for figure in SCAN_FIGURES}
            row |= {"load_id": extraction.load_id, "bytes_landed": extraction.bytes_landed[name]}
        yield row


def of_columns(extraction: extract.Extraction) -> Iterator[Row]:
    """`ops.run_columns`."""
    for name, fields in extraction.fields.items():
        for field, count in fields.items():
            yield {"table_name": name, "column_name": field, **count._asdict()}


def of_loads(judgements: Iterable[Judgement]) -> Iterator[Row]:
    """`ops.run_loads`: the verdicts only, for what each rule found is in the gate's ledger."""
    for judgement in judgements:
        yield {
            "load_id": judgement.batch.load_id,
            "table_name": judgement.batch.table,
            "state": judgement.state,
            "rows_quarantined": judgement.rows_quarantined,
        }


def of_nodes(step: str, outcome: DbtOutcome | None) -> Iterator[Row]:
    """`ops.run_nodes`: the models and tests that ran or were to run."""
    for node in outcome.nodes if outcome else ():
        yield {"step": step, **vars(node)}
