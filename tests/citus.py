"""Find statements that Citus refuses, or answers by moving whole tables to the coordinator.

Citus is not available in the test environment. Each check stands for a failure or a plan that was seen on Citus 13.2.2.
"""

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import psycopg
import sqlglot
from sqlglot import exp

DISTRIBUTED = {
    "marts.users": "id",
    "marts.listen_history": "user_id",
    "prep.user_totals": "user_id",
    "prep.user_genre_totals": "user_id",
    "prep.first_listens": "user_id",
}
REFERENCE = {"marts.tracks", "marts.track_genres", "prep.parked_listens", "prep.builds"}
SEQUENTIAL = "citus.multi_shard_modify_mode"
NAMES = re.compile(r'\b"?(marts|prep)"?\."?(\w+)"?')
SENT_TO_WORKERS = re.compile(r"(alter|drop|grant|revoke|create (unique )?index)\b", re.IGNORECASE)
COMMENTS = re.compile(r"/\*.*?\*/|--[^\n]*", re.DOTALL)

# By view, what it reads itself.
VIEWS = """
select rules.ev_class::regclass::text, array_agg(distinct depends.refobjid::regclass::text)
from pg_rewrite as rules
inner join pg_depend as depends on rules.oid = depends.objid and depends.classid = 'pg_rewrite'::regclass
where depends.refclassid = 'pg_class'::regclass and depends.refobjid <> rules.ev_class
group by 1
"""
CATALOG_VIEWS = """
select relname from pg_class
where relnamespace in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace) and relkind = 'v'
"""
CHANGING_FUNCTIONS = "select proname from pg_proc group by 1 having bool_and(provolatile <> 'i')"

logging.getLogger("sqlglot").setLevel(logging.ERROR)  # it warns of statements that it does not parse, such as `do`


@dataclass(frozen=True)
class Catalog:
    """Hold what the checks must know of the warehouse. Names are those in `pg_class`, with the schema."""

    connection: psycopg.Connection

    @cached_property
    def views(self) -> dict[str, set[str]]:
        return {view: set(relations) for view, relations in self.connection.execute(VIEWS)}

    @cached_property
    def catalog_views(self) -> set[str]:
        return {name for (name,) in self.connection.execute(CATALOG_VIEWS)}

    @cached_property
    def changing_functions(self) -> set[str]:
        return {name for (name,) in self.connection.execute(CHANGING_FUNCTIONS)}

    def bases(self, relation: str) -> set[str]:
        """Return the relation, or the tables that it reads if it is a view."""
        reads = self.views.get(relation)
        return set().union(*map(self.bases, reads)) if reads else {relation}

    def is_distributed(self, relation: str) -> bool:
        return not self.bases(relation).isdisjoint(DISTRIBUTED)

    def is_landed(self, relation: str) -> bool:
        return any(base.startswith("staging.") for base in self.bases(relation))

    def types(self, query: str) -> list[int]:
        """Return the types of the columns of a query, none if a table is gone, such as a temporary one."""
        try:
            with self.connection.transaction(force_rollback=True):
                cursor = self.connection.execute(f"select * from ({query}) as query limit 0")
                return [column.type_code for column in cursor.description]
        except psycopg.errors.UndefinedTable:
            return []


@dataclass(frozen=True)
class Text:
    """Hold one or more statements that a client sent together."""

    sql: str

    @cached_property
    def statements(self) -> list[exp.Expression]:
        return [statement for statement in sqlglot.parse(self.sql, dialect="postgres") if statement]

    @cached_property
    def parts(self) -> list[str]:
        """Return the text of each statement, without comments before it. What is in dollar quotes is not divided."""
        starts = [0]
        for token in sqlglot.tokenize(self.sql, dialect="postgres"):
            if token.token_type == sqlglot.TokenType.SEMICOLON:
                starts.append(token.end + 1)
        divided = [self.sql[start:stop] for start, stop in zip(starts, [*starts[1:], None], strict=True)]
        return [part for part in (COMMENTS.sub("", part).strip() for part in divided) if part]

    def find(self, *kinds: type) -> Iterator:
        for statement in self.statements:
            yield from statement.find_all(*kinds)


Check = Callable[[Text, Catalog], Iterator[object]]


def name_of(table: exp.Expression) -> str:
    return f"{table.db}.{table.name}".removeprefix(".") if isinstance(table, exp.Table) else ""


def names_in(expression: exp.Expression) -> set[str]:
    return {name_of(table) for table in expression.find_all(exp.Table)}


def sent_with_others(text: Text, catalog: Catalog) -> Iterator[object]:
    """Citus sends such a statement to its workers as the text that it is part of, and they accept one statement."""
    if len(text.parts) > 1:
        for part in text.parts:
            if SENT_TO_WORKERS.match(part):
                named = {f"{schema}.{name}" for schema, name in NAMES.findall(part)}
                yield from named & (DISTRIBUTED.keys() | REFERENCE)


def view_dropped_in_pg_temp(text: Text, catalog: Catalog) -> Iterator[object]:
    """Citus looks for a schema of this name."""
    yield from re.findall(r'(?i)\bdrop\s+view\s+(?:if\s+exists\s+)?"?pg_temp"?\.\S+', text.sql)


def deleted_by_local_rows(text: Text, catalog: Catalog) -> Iterator[object]:
    """Citus refuses to delete where a correlated subquery reads a local table directly."""
    for delete in text.find(exp.Delete):
        target, where = delete.this, delete.args.get("where")
        if name_of(target) in DISTRIBUTED and where:
            for select in where.find_all(exp.Select):
                source = select.args["from_"].this if select.args.get("from_") else None
                is_correlated = any(column.table == target.alias_or_name for column in select.find_all(exp.Column))
                if is_correlated and isinstance(source, exp.Table) and not catalog.is_distributed(name_of(source)):
                    yield name_of(source)


def exists_without_columns(text: Text, catalog: Catalog) -> Iterator[object]:
    """The statement that the workers get has a wrong syntax."""
    for exists in text.find(exp.Exists):
        if not exists.this.expressions and any(map(catalog.is_distributed, names_in(exists))):
            yield exists.sql()


def catalog_view_beside_mart(text: Text, catalog: Catalog) -> Iterator[object]:
    """Citus reads the tables of the catalog's views as the user, who may not."""
    for statement in text.statements:
        if any(map(catalog.is_distributed, names_in(statement))):
            for table in statement.find_all(exp.Table):
                if table.db in ("", "pg_catalog", "information_schema") and table.name in catalog.catalog_views:
                    yield table.name


def mart_left_joined_to_local_rows(text: Text, catalog: Catalog) -> Iterator[object]:
    """Citus moves the whole mart to the coordinator."""
    for select in text.find(exp.Select):
        sides = _sides(select)
        for number, join in enumerate(select.args.get("joins") or (), start=1):
            is_moved = not any(_is_in_shards(side, catalog) for side in sides[:number])
            if join.side == "LEFT" and is_moved and _is_in_shards(join.this, catalog):
                yield join.sql()


def _sides(select: exp.Select) -> list[exp.Expression]:
    source = [select.args["from_"].this] if select.args.get("from_") else []
    return source + [join.this for join in select.args.get("joins") or ()]


def _is_in_shards(side: exp.Expression, catalog: Catalog) -> bool:
    """Return whether the rows are still those of a mart, where they are: neither materialized nor counted per track."""
    if isinstance(side, exp.Subquery):
        return _are_in_shards(side.this, catalog)
    common = _common_table(side)
    if common is None:
        return catalog.is_distributed(name_of(side))
    return not common.args.get("materialized") and _are_in_shards(common.this, catalog)


def _are_in_shards(query: exp.Expression, catalog: Catalog) -> bool:
    if isinstance(query, exp.SetOperation):
        return _are_in_shards(query.left, catalog) or _are_in_shards(query.right, catalog)
    if not isinstance(query, exp.Select):
        return False
    keys = _group_keys(query)
    return (not keys or "user_id" in keys) and any(_is_in_shards(side, catalog) for side in _sides(query))


def _group_keys(query: exp.Select) -> list[str]:
    """Return the names of the columns that the rows are grouped by."""
    return [
        query.expressions[int(key.name) - 1].alias_or_name if key.is_int else key.name
        for key in (query.args["group"].expressions if query.args.get("group") else ())
    ]


def _common_table(table: exp.Expression) -> exp.CTE | None:
    """Return the common table expression that the name of a table stands for."""
    place = table if isinstance(table, exp.Table) and not table.db else None
    while place is not None:
        with_ = place.args.get("with_")
        for common in with_.expressions if with_ else ():
            if common.alias == table.name and common not in _ancestors(table):
                return common
        place = place.parent
    return None


def _ancestors(expression: exp.Expression) -> list[exp.Expression]:
    found = []
    while expression.parent is not None:
        expression = expression.parent
        found.append(expression)
    return found


def lateral_subquery_over_shards(text: Text, catalog: Catalog) -> Iterator[object]:
    """Citus refuses one that counts or limits rows across shards, left joined, or beside rows that are not in shards.

    A left joined one it refuses where dbt asks a view for its columns. On Postgres 15, it does not see an inner join
    beside a condition that is a subquery, and accepts that.
    """
    for lateral in text.find(exp.Lateral):
        join, subquery = lateral.parent, lateral.this
        if isinstance(join, exp.Join) and isinstance(subquery, exp.Subquery) and _must_be_merged(subquery.this):
            is_beside_shards = any(_is_in_shards(side, catalog) for side in _sides(join.parent))
            is_refused = join.side == "LEFT" or not (is_beside_shards or _has_subquery_as_condition(join.parent))
            if is_refused and any(map(catalog.is_distributed, names_in(subquery))):
                yield lateral.sql()


def _has_subquery_as_condition(select: exp.Select) -> bool:
    where = select.args.get("where")
    conditions = (
        where.this.flatten(unnest=False) if where and isinstance(where.this, exp.And) else [where and where.this]
    )
    return any(isinstance(condition, exp.Subquery) for condition in conditions)


def _must_be_merged(query: exp.Expression) -> bool:
    """Return whether rows of several shards make one row of the result, or compete for a place in it."""
    if not isinstance(query, exp.Select):
        return True
    is_limited = any(query.args.get(name) for name in ("limit", "offset"))
    is_counted = query.args.get("group") or any(each.find(exp.AggFunc) for each in query.expressions)
    is_distinct = query.args.get("distinct") and "user_id" not in query.named_selects
    return bool(is_limited or is_distinct or (is_counted and "user_id" not in _group_keys(query)))


def subquery_beside_count(text: Text, catalog: Catalog) -> Iterator[object]:
    """Citus refuses a subquery over a mart in the select list of a query that counts the rows of a mart."""
    for select in text.find(exp.Select):
        if any(_is_in_shards(side, catalog) for side in _sides(select)):
            subqueries = [each for column in select.expressions for each in column.find_all(exp.Subquery)]
            if subqueries and any(_counts(column) for column in select.expressions):
                yield from (each.sql() for each in subqueries if any(map(catalog.is_distributed, names_in(each))))


def _counts(column: exp.Expression) -> bool:
    """Return whether an aggregate function of the query itself, not of a subquery in it, makes the column."""
    nested = (exp.Subquery, exp.Window)
    return any(isinstance(each, exp.AggFunc) for each in column.walk(prune=lambda place: isinstance(place, nested)))


def landed_rows_beside_mart(text: Text, catalog: Catalog) -> Iterator[object]:
    """Planned beside a mart, everything that ever landed is read; a materialized expression is planned alone."""
    for statement in text.statements:
        read = {name_of(table) for table in statement.find_all(exp.Table) if not _is_materialized(table)}
        if any(map(catalog.is_distributed, read)):
            yield from filter(catalog.is_landed, read)


def _is_materialized(table: exp.Table) -> bool:
    return any(isinstance(place, exp.CTE) and place.args.get("materialized") for place in _ancestors(table))


def local_table_in_feature(text: Text, catalog: Catalog) -> Iterator[object]:
    """Beside a local table, each query of one user moves all users to the coordinator."""
    for create in text.find(exp.Create):
        if create.kind == "VIEW" and create.this.db == "features":
            bases = set().union(*(catalog.bases(name) for name in names_in(create.expression) if "." in name))
            if not bases.isdisjoint(DISTRIBUTED):
                yield from bases - DISTRIBUTED.keys() - REFERENCE


def union_of_different_types(text: Text, catalog: Catalog) -> Iterator[object]:
    """Citus pushes it down only where the types are equal: 0 is an integer, and a count is a bigint."""
    for union in text.find(exp.Union):
        if _are_in_shards(union.left, catalog) and _are_in_shards(union.right, catalog):
            left, right = (catalog.types(_with_common_tables(side)) for side in (union.left, union.right))
            if left and right and left != right:
                yield union.right.sql()


def _with_common_tables(query: exp.Expression) -> str:
    """Return the query, after the common table expressions that it may read."""
    ancestors = _ancestors(query)
    visible = []
    for place in ancestors:
        if place.args.get("with_"):
            commons = place.args["with_"].expressions
            own = next((number for number, common in enumerate(commons) if common in ancestors), len(commons))
            visible = [*commons[:own], *visible]
    sql = query.sql(dialect="postgres")
    return f"with {', '.join(common.sql(dialect='postgres') for common in visible)} {sql}" if visible else sql


def all_columns_of_users_in_view(text: Text, catalog: Catalog) -> Iterator[object]:
    """The workers ask for the privilege to read each of them, also those that the view then leaves out."""
    for create in text.find(exp.Create):
        if create.kind == "VIEW" and create.this.db not in ("", "prep"):
            for select in create.find_all(exp.Select):
                if select.is_star and "marts.users" in map(name_of, _sides(select)):
                    yield select.sql()


def changing_function_in_update(text: Text, catalog: Catalog) -> Iterator[object]:
    """Citus refuses what each node would compute for itself, such as the time."""
    for update in text.find(exp.Update):
        sql = update.sql(dialect="postgres").lower()
        names = {*re.findall(r"\b(\w+)\(", sql), *re.findall(r"\bcurrent_\w+", sql)}
        if any(name in REFERENCE or catalog.is_distributed(name) for name in names_in(update)):
            yield from (name for name in names if name in catalog.changing_functions or name.startswith("current_"))


CHECKS: Sequence[Check] = (
    sent_with_others,
    view_dropped_in_pg_temp,
    deleted_by_local_rows,
    exists_without_columns,
    catalog_view_beside_mart,
    mart_left_joined_to_local_rows,
    lateral_subquery_over_shards,
    subquery_beside_count,
    landed_rows_beside_mart,
    local_table_in_feature,
    union_of_different_types,
    all_columns_of_users_in_view,
    changing_function_in_update,
)


def is_in_order(texts: Sequence[str], table: str) -> bool:
    """Return whether a transaction that creates the table does it as Citus needs it.

    Sequential mode comes before all that reads shards, distribution before the first row, foreign keys last.
    """
    name = '"?' + table.replace(".", '"?."?') + '"?'
    joined = "\n".join(texts)
    steps = (
        SEQUENTIAL,
        rf"create\s+table\s+(?:\"\w+\"\.)?{name}",
        rf"create_(?:distributed|reference)_table\(\s*'{name}'",
        rf"insert\s+into\s+(?:\"\w+\"\.)?{name}",
    )
    places = [match.start() if (match := re.search(step, joined, re.IGNORECASE)) else -1 for step in steps]
    keys = [match.start() for match in re.finditer(r"\bforeign key\b", joined, re.IGNORECASE)]
    return -1 not in places and places == sorted(places) and all(place > places[-1] for place in keys)


def adds_months_in_order(text: str) -> bool:
    """Return whether each block that adds a month is in sequential mode before the month is made."""
    blocks = re.findall(r"do \$partitions\$.*?\$partitions\$;", text, re.DOTALL)
    return all(0 <= block.find(SEQUENTIAL) < block.find("create table") for block in blocks)
