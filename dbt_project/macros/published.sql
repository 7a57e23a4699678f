{#
    The versions of a landing table that the gate has published: their load is in gate.publications for this table, and no
    rule holds them in quarantine. A quarantined row counts as published only when a decision freed it.
#}
{% macro published(staging_model, table_name) -%}
select staged.*
from {{ ref(staging_model) }} as staged
where
    exists (
        select 1
        from {{ source('gate', 'publications') }} as publications
        where publications.load_id = staged._load_id and publications.table_name = '{{ table_name }}'
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
