{#
    The versions of a landing table that are published: their load is let through for this table, by the gate or by a
    person, and no rule holds them in quarantine. A quarantined row counts only when a decision freed it.
#}
{% macro published(staging_model, table_name) -%}
select staged.*
from {{ ref(staging_model) }} as staged
where
    exists (
        select 1
        from {{ source('gate', 'loads') }} as loads
        where
            loads.load_id = staged._load_id
            and loads.table_name = '{{ table_name }}'
            and loads.state in ('accepted', 'accepted_with_quarantine', 'released')
    )
    and not exists (
        select 1
        from {{ source('gate', 'quarantined_rows') }} as quarantined_rows
        where
            quarantined_rows.dlt_id = staged._dlt_id
            and quarantined_rows.table_name = '{{ table_name }}'
            and quarantined_rows.outcome is distinct from 'freed'
    )
{%- endmacro %}
