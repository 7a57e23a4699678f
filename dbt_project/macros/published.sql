{#
    Whether a version of a landing table is published: its load is let through for this table, by the gate or by a person,
    and no rule holds it in quarantine. A quarantined row counts only when a decision freed it.
#}
{% macro is_published(version, table_name) -%}
exists (
    select 1
    from {{ source('gate', 'loads') }} as loads
    where
        loads.load_id = {{ version }}._load_id
        and loads.table_name = '{{ table_name }}'
        and loads.state in ('accepted', 'accepted_with_quarantine', 'released')
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

{% macro published(staging_model, table_name) -%}
select staged.*
from {{ ref(staging_model) }} as staged
where
    {{ is_published('staged', table_name) }}
{%- endmacro %}

{# The loads of a table that were published up to a publication, which `until` names as a column of int_build. #}
{% macro loads_published(table_name, until) -%}
select publications.load_id
from {{ source('gate', 'publications') }} as publications
inner join {{ ref('int_build') }} as build on publications.seq <= build.{{ until }}
where publications.table_name = '{{ table_name }}'
{%- endmacro %}

{#
    The loads of a table of which other versions are published now than when the last build looked. As an array, because the
    planner then takes the index on the load, however many rows there are.
#}
{% macro loads_with_news(table_name) -%}
array(
    {{ loads_published(table_name, 'until_seq') }}
    and publications.seq > build.after_seq
)
{%- endmacro %}

{# The users or tracks of whom a load with news says something; when all is counted anew, also those whom none names. #}
{% macro touched(staging_model, mart) -%}
select id
from {{ ref(staging_model) }}
where
    _load_id = any({{ loads_with_news(mart) }})
    and id is not null
union
select built_before.id
from {{ as_built_before(mart) }} as built_before
where (select build.after_seq = 0 from {{ ref('int_build') }} as build)
{%- endmacro %}
