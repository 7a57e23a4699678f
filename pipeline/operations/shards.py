"""Make the lists of one shard of users, beside other shards and on any machine."""

import uuid

from rich.console import Console

from pipeline.operations.journal import Journal, record_concurrent_command
from pipeline.run import recommending
from pipeline.run.preparation import lock_for_shard
from pipeline.settings import Settings
from recommender.drafts import Shard
from warehouse import database
from warehouse.database import Warehouse

# A shard ends the backends with the name of a run, and must not end other shards.
APPLICATION = "moovitamix shard"
COMMAND = "shard"


def make(settings: Settings, warehouse: Warehouse, output: Console, shard: Shard) -> None:
    """Make the lists of the shard, and say what was done.

    Raises CommandError: ALREADY_RUNNING beside a run; otherwise like `recommending.make_shard` and `lock_for_shard`.
    """
    journal = Journal(output, uuid.uuid4().hex[:12])
    with (
        lock_for_shard(warehouse) as work,
        record_concurrent_command(settings, warehouse.at_work("recommend"), journal.run_id, COMMAND) as figures,
        database.translate_database_errors(warehouse),
        journal.step("recommend") as show,
    ):
        made = recommending.make_shard(work, settings, shard, show)
        figures |= {"shard": str(shard), "users": made.users or 0}
    journal.say("shard", made.message, **figures)
