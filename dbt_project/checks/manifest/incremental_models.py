"""A rule of `make lint` that dbt-bouncer does not have."""

from collections.abc import Iterator
from typing import Any

from dbt_bouncer.check_framework.context import CheckContext
from dbt_bouncer.check_framework.decorator import check, fail

CHANGES = "models/intermediate/changes/"
BUILD_WINDOW = "int_build_window"  # lists no rows


@check
def check_incremental_model_deletes_rows(model: Any, ctx: CheckContext) -> None:
    """An incremental model deletes the rows whose source is gone, and only these.

    Otherwise, rows of a rejected load stay in the table, or a build empties it.
    """
    if model.config.materialized != "incremental":
        return
    if model.config.incremental_strategy != "reconcile":
        fail(
            f"`{model.name}` keeps rows whose source is gone: only the strategy `reconcile` deletes them, "
            f"not `{model.config.incremental_strategy}`."
        )
    models = {candidate.unique_id: candidate for candidate in ctx.models}
    changes = {
        upstream.name
        for upstream in _upstream(model, models)
        if upstream.original_file_path.startswith(CHANGES) and upstream.name != BUILD_WINDOW
    }
    scope = model.config.scope
    if scope and scope["model"] not in changes:
        fail(
            f"`{model.name}` deletes only rows in its scope, `{scope['model']}`. It must be a model in {CHANGES} "
            "that it reads: these list what may be gone, and everything in a full recount."
        )
    if changes and not scope:
        fail(
            f"`{model.name}` reads only what changed ({', '.join(sorted(changes))}), but has no scope: "
            "it would delete all other rows."
        )


def _upstream(model: Any, models: dict[str, Any]) -> Iterator[Any]:
    """Yield the models that a build reads for this one, up to tables that hold more than the changes."""
    for parent in [models[node] for node in model.depends_on.nodes if node in models]:
        yield parent
        if parent.config.materialized != "incremental":
            yield from _upstream(parent, models)
