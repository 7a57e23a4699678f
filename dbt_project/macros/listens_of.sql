{#
    The rows of a table of listens that some versions of documents brought: (user_id, created_at, updated_at) each; when all
    is counted anew, all rows, which none but these brought. `offset 0` keeps this a look at the primary key, in the one month
    it is about: for a join the planner reckons with all months, and would rather read them all.
#}
{% macro listens_of(versions, listens) -%}
    select
        listens.id,
        versions.user_id,
        listens.track_id,
        listens.listened_at,
        versions.created_at,
        listens._load_id
    from {{ versions }}
    cross join lateral (
        select *
        from {{ listens }} as present
        where
            present.user_id = versions.user_id
            and present.listened_at = versions.updated_at
            and present.created_at = versions.created_at
        offset 0 -- noqa: AM09
    ) as listens
    where (select build.after_seq > 0 from {{ ref('int_build') }} as build)
    union all
    select
        present.id,
        present.user_id,
        present.track_id,
        present.listened_at,
        present.created_at,
        present._load_id
    from {{ listens }} as present
    where (select build.after_seq = 0 from {{ ref('int_build') }} as build)
{%- endmacro %}
