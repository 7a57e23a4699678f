{#
    The values of a column in the published versions, each with its validity period (`valid_from`, `valid_to`). A period
    starts when the scan that read the value ended. The first value counts as valid for ever before (`valid_from` NULL); the
    latest is still valid (`valid_to` NULL).
#}
{% macro validity_periods(published_model, table_name, column) -%}
select
    versions.id,
    versions.{{ column }},
    case when row_number() over by_version > 1 then scans.finished_at end as valid_from,
    lead(scans.finished_at) over by_version as valid_to
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
    (valid_from is null or valid_from <= {{ as_of() }})
    and (valid_to is null or valid_to > {{ as_of() }})
{%- endmacro %}
