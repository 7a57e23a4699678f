{# The progress of a table of totals: it covers listens before `totals_until` that were published up to `seq`. #}
{% macro build_progress(model_name) -%}
    select
        seq,
        totals_until
    from {{ source('prep', 'builds') }}
    where model = 'prep.{{ model_name }}'
{%- endmacro %}

{#
    The CTEs of a table of totals; the last one is `listens_to_count`. For recounted users it has all listens before the new
    `totals_until` (from `build`). For other users it has the listens to add to the totals, each exactly once: those since the
    old `totals_until` (from `previous_build`), and late ones if the table has not processed this build's publications yet.
    Each CTE reads listen_history separately: a shared CTE would read the whole history in every run.
#}
{% macro listens_to_count(model_name) -%}
build as (

    select * from {{ ref('int_build_window') }}

),

previous_build as (

    {{ build_progress(model_name) }}

),

recounted_users as (

    select * from {{ ref('int_recounted_users') }}

),

more_listens as (

    select
        user_id,
        track_id,
        listened_at
    from {{ ref('listen_history') }}
    where
        listened_at >= (select previous_build.totals_until from previous_build)
        and listened_at < (select build.totals_until from build)
    union all
    select
        user_id,
        track_id,
        listened_at
    from {{ ref('int_late_listens') }}
    where
        listened_at < (select previous_build.totals_until from previous_build)
        and (select previous_build.seq < build.until_seq from previous_build cross join build)

),

listens_to_count as (

    select
        listens.user_id,
        listens.track_id,
        listens.listened_at,
        true as is_recount
    from {{ ref('listen_history') }} as listens
    inner join recounted_users on listens.user_id = recounted_users.user_id
    where listens.listened_at < (select build.totals_until from build)
    union all
    select
        more_listens.user_id,
        more_listens.track_id,
        more_listens.listened_at,
        false as is_recount
    from more_listens
    where not exists (select 1 from recounted_users where recounted_users.user_id = more_listens.user_id)

)
{%- endmacro %}

{# The union of two arrays of distinct elements. NULL counts as an empty array. #}
{% macro array_union(elements, others) -%}
    {{ elements }} || array(
        select unnest({{ others }})
        except
        select unnest({{ elements }})
        order by 1
    )
{%- endmacro %}
