{#
    The CTEs of a mart with one row per record, from its published versions; the last one is `latest_versions`, with the given
    columns. A record that is gone from the API keeps its latest values, and has `deleted_at`: the first removal after them.
    Later removals are ignored. `changed`: the model with the ids to compute.
#}
{% macro latest_versions(published_model, changed_model, table_name, columns) -%}
versions as (

    select published.*
    from {{ ref(changed_model) }} as changed
    cross join lateral {{ versions_of(published_model, "'[' || changed.id || ']'") }} as published

),

{{ known_versions('versions', table_name) }},

scans as (

    select * from {{ source('staging', 'scans') }}
    where table_name = '{{ table_name }}'

),

-- also of removed records
latest_with_payload as (

    select distinct on (id)
        *,
        min(known_at) over (partition by id) as first_known_at
    from known_versions
    where not is_removal
    order by id asc, version_seq desc

),

removals as (

    select distinct on (versions.id)
        versions.id,
        versions._load_id,
        scans.finished_at
    from versions
    inner join latest_with_payload
        on
            versions.id = latest_with_payload.id
            and versions.version_seq > latest_with_payload.version_seq
    inner join scans on versions._load_id = scans._dlt_load_id
    order by versions.id asc, versions.version_seq asc

),

latest_versions as (

    select
        {% for column in columns -%}
        latest_with_payload.{{ column }},
        {% endfor -%}
        removals.finished_at as deleted_at,
        nullif(latest_with_payload.first_known_at, '-infinity') as known_at,
        coalesce(removals._load_id, latest_with_payload._load_id) as _load_id
    from latest_with_payload
    left join removals on latest_with_payload.id = removals.id

)
{%- endmacro %}
