{#
    The removal of each user or track that is gone from the API: the first removal after the latest version with a payload.
    Later removals of the same key are ignored. The arguments are names of CTEs in the models `users` and `tracks`.
#}
{% macro first_removals(versions, newest_profile, scans) -%}
select distinct on ({{ versions }}.id)
    {{ versions }}.id,
    {{ versions }}._load_id,
    {{ scans }}.finished_at
from {{ versions }}
inner join {{ newest_profile }}
    on
        {{ versions }}.id = {{ newest_profile }}.id
        and {{ versions }}.version_seq > {{ newest_profile }}.version_seq
inner join {{ scans }} on {{ versions }}._load_id = {{ scans }}._dlt_load_id
order by {{ versions }}.id asc, {{ versions }}.version_seq asc
{%- endmacro %}
