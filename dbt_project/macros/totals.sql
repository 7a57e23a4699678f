{# What the totals in a model cover: listens before `totals_until`, as far as they were published up to `seq`. #}
{% macro built(model_name) -%}
    select
        seq,
        totals_until
    from {{ source('prep', 'builds') }}
    where model = 'prep.{{ model_name }}'
{%- endmacro %}

{#
    The CTEs of a table of totals, the last of them `listens_to_count`: of users who are counted anew, all listens before the
    new `totals_until` (of `build`); of the others, those by which the totals in the table grow. A listen grows them once: the
    days since the old `totals_until` (of `built`), and what is late for these only if the table has not seen this build's
    news yet. Each reads the history by itself: a CTE that two of them share would be all of it, every night.
#}
{% macro listens_to_count(model_name) -%}
build as (

    select * from {{ ref('int_build') }}

),

built as (

    {{ built(model_name) }}

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
        listened_at >= (select built.totals_until from built)
        and listened_at < (select build.totals_until from build)
    union all
    select
        user_id,
        track_id,
        listened_at
    from {{ ref('int_late_listens') }}
    where
        listened_at < (select built.totals_until from built)
        and (select built.seq < build.until_seq from built cross join build)

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

{# The elements of a set, and those of another that it lacks. NULL is a set without elements. #}
{% macro with_new_elements(elements, others) -%}
    {{ elements }} || array(
        select unnest({{ others }})
        except
        select unnest({{ elements }})
        order by 1
    )
{%- endmacro %}

{# The totals that a feature begins with; looking from another moment than now, none: they know what came later. #}
{% macro totals_of(model_name) -%}
    select * from {{ ref(model_name) }}
    {% if var('as_of') -%}
        where false
    {%- endif %}
{%- endmacro %}

{# The listens that these totals do not cover, up to the moment the features look from. #}
{% macro listens_since_totals(model_name) -%}
    select * from {{ ref('listen_history') }}
    where
        {% if not var('as_of') -%}
            listened_at >= (select built.totals_until from ({{ built(model_name) }}) as built)
            and {% endif -%}
        listened_at <= {{ as_of() }}
{%- endmacro %}
