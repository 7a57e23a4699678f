{#
    The rows in a table of listens that come from these document versions (user_id, created_at, updated_at). In a full
    recount, all rows: the versions are then all there are. `offset 0` forces one primary-key lookup per version, in one
    monthly partition. With a plain join the planner expects to visit every partition, and reads them all.
#}
{% macro listens_of(versions, listens, more_columns=[]) -%}
    select
        listens.id,
        versions.user_id,
        listens.track_id,
        listens.listened_at,
        versions.created_at,
        {% for column in more_columns -%}
        listens.{{ column }},
        {% endfor -%}
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
    where (select build.after_seq > 0 from {{ ref('int_build_window') }} as build)
    union all
    select
        present.id,
        present.user_id,
        present.track_id,
        present.listened_at,
        present.created_at,
        {% for column in more_columns -%}
        present.{{ column }},
        {% endfor -%}
        present._load_id
    from {{ listens }} as present
    where (select build.after_seq = 0 from {{ ref('int_build_window') }} as build)
{%- endmacro %}
