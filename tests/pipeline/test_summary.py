"""The end of a night on one screen."""

import io

import pytest
from rich.console import Console

from expectations.judgement import Batch, Judgement
from pipeline import summary
from pipeline.night import Night
from pipeline.warehouse import Warehouse


@pytest.mark.parametrize(
    "state", ["pending", "accepted", "accepted_with_quarantine", "blocked", "superseded", "released", "rejected"]
)
def test_each_state_of_a_load_can_be_shown(state):
    """What somebody decided while the gate was judging is shown too."""
    batch = Batch("load 1", "users", rows_read=3, rows_landed=2, rows_removed=1)
    output = Console(file=io.StringIO(), width=200)
    summary.show(Night(Warehouse({}), "run 1", judgements=[Judgement(batch, state)]), output)
    assert state in output.file.getvalue()
