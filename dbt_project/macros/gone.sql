{#
    Since which load, and since when, something is gone: the first removal after the newest version that still had a payload.
    A later removal of what is gone already says nothing new. The arguments name the CTEs of `users` and `tracks`.
#}
{% macro gone(versions, newest_profile, scans) -%}
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
