{#
    The values of a column in the published versions, each with its validity period (`told_from`, `told_until`). A period
    starts when the scan that read the value ended. The first value counts as valid for ever before (`told_from` NULL); the
    latest is still valid (`told_until` NULL).
#}
{% macro validity_periods(published_model, table_name, column) -%}
select
    versions.id,
    versions.{{ column }},
    case when row_number() over by_version > 1 then scans.finished_at end as told_from,
    lead(scans.finished_at) over by_version as told_until
from {{ ref(published_model) }} as versions
inner join {{ source('staging', 'scans') }} as scans
    on
        versions._load_id = scans._dlt_load_id
        and scans.table_name = '{{ table_name }}'
where not versions.is_removal and versions.id is not null
window by_version as (partition by versions.id order by versions.version_seq)
{%- endmacro %}

{# Condition: the period includes the moment for which the feature views are computed. #}
{% macro was_valid_then() -%}
    (told_from is null or told_from <= {{ as_of() }})
    and (told_until is null or told_until > {{ as_of() }})
{%- endmacro %}
