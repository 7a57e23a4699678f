{#
    The CTEs of a history; the last one is `periods`. It has the published versions of each record, with the period in which the version
    was the newest known one: a version that became known after a newer one never was. `removed_at`: from when on in this period the
    record was known to be gone.
#}
{% macro known_periods(published_model, table_name) -%}
published_versions as (

    select * from {{ ref(published_model) }}
    where id is not null

),

{{ known_versions('published_versions', table_name) }},

followed_versions as (

    select
        *,
        min(known_at) filter (where not is_removal) over later as replaced_at,
        min(known_at) filter (where is_removal) over later as first_removal_at
    from known_versions
    window later as (
        partition by id
        order by version_seq
        rows between 1 following and unbounded following
    )

),

periods as (

    select
        *,
        nullif(known_at, '-infinity') as valid_from,
        replaced_at as valid_to,
        case
            when first_removal_at < coalesce(replaced_at, 'infinity') then first_removal_at
        end as removed_at
    from followed_versions
    where
        not is_removal
        and (replaced_at is null or known_at < replaced_at)

)
{%- endmacro %}
