{# The states of a published load. A test compares them with `PUBLISHED` in warehouse/names.py. #}
{% macro published_states() -%}
('accepted', 'accepted_with_quarantine', 'released')
{%- endmacro %}

{#
    Whether a version in a landing table is published: the gate accepted its load for this table, or an operator released it,
    and the row is not in quarantine. A quarantined row counts only after a replay freed it from every rule it failed.
#}
{% macro is_published(version, table_name) -%}
exists (
    select 1
    from {{ source('gate', 'loads') }} as loads
    where
        loads.load_id = {{ version }}._load_id
        and loads.table_name = '{{ table_name }}'
        and loads.state in {{ published_states() }}
)
and not exists (
    select 1
    from {{ source('gate', 'quarantined_rows') }} as quarantined_rows
    where
        quarantined_rows.dlt_id = {{ version }}._dlt_id
        and quarantined_rows.table_name = '{{ table_name }}'
        and quarantined_rows.outcome is distinct from 'freed'
)
{%- endmacro %}

{% macro published_versions(staging_model, table_name) -%}
select staged.*
from {{ ref(staging_model) }} as staged
where
    {{ is_published('staged', table_name) }}
{%- endmacro %}

{#
    The CTEs that say when each of these versions became known, if it is published: with the first publication of its load, or
    with the replay that freed it. The last one is `known_versions`, the versions with `known_at`.
#}
{% macro known_versions(versions, table_name) -%}
known_loads as (

    select
        load_id,
        min(known_at) as known_at
    from {{ ref('int_publications') }}
    where table_name = '{{ table_name }}'
    group by 1

),

freed_versions as (

    select
        freed.dlt_id,
        min(replays.known_at) as known_at
    from {{ ref('int_freed_versions') }} as freed
    inner join {{ ref('int_publications') }} as replays
        on
            freed.load_id = replays.load_id
            and freed.table_name = replays.table_name
            and freed.freed_at <= replays.published_at
            and replays.kind = 'replay'
    where freed.table_name = '{{ table_name }}'
    group by 1

),

known_versions as (

    select
        {{ versions }}.*,
        coalesce(freed_versions.known_at, known_loads.known_at) as known_at
    from {{ versions }}
    left join known_loads on {{ versions }}._load_id = known_loads.load_id
    left join freed_versions on {{ versions }}._dlt_id = freed_versions.dlt_id

)
{%- endmacro %}

{# The loads of a table that were published up to the publication in `until`, a column of int_build_window. #}
{% macro published_loads(table_name, until) -%}
select publications.load_id
from {{ source('gate', 'publications') }} as publications
inner join {{ ref('int_build_window') }} as build on publications.seq <= build.{{ until }}
where publications.table_name = '{{ table_name }}'
{%- endmacro %}

{#
    The loads of a table whose published rows changed since the previous build. An array, because the planner then uses the
    index on the load, however many rows there are.
#}
{% macro newly_published_loads(table_name) -%}
array(
    {{ published_loads(table_name, 'until_seq') }}
    and publications.seq > build.after_seq
)
{%- endmacro %}

{# The ids in newly published loads of users or tracks; in a full recount, also all ids that are already in the mart. #}
{% macro changed_ids(staging_model, mart) -%}
with

-- materialized: planned beside the mart, Citus would read everything that ever landed
loaded as materialized (

    select id
    from {{ ref(staging_model) }}
    where
        _load_id = any({{ newly_published_loads(mart) }})
        and id is not null

)

select id from loaded
union
select previous.id
from {{ previous_state(mart) }} as previous
where (select build.after_seq = 0 from {{ ref('int_build_window') }} as build)
{%- endmacro %}
