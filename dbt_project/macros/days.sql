{#
    The CTE `days`: the UTC days from 2000 to today. Other times come from wrong clocks. A query that reads the listens of each day
    separately, in a lateral subquery, reads only the partitions of the days that its reader asks for.
#}
{% macro days() -%}
days as (

    select numbers.midnight::date as day
    from generate_series(
        timestamp '2000-01-01', {{ current_moment() }} at time zone 'UTC', interval '1 day'
    ) as numbers (midnight)

)
{%- endmacro %}

{# The listens of a day. `last_days`: also those of the days before it, this many days in all. #}
{% macro is_on(listened_at, day, last_days=1) -%}
{{ listened_at }} >= ({{ day }} - {{ last_days - 1 }})::timestamp at time zone 'UTC'
        and {{ listened_at }} < ({{ day }} + 1)::timestamp at time zone 'UTC'
{%- endmacro %}

{#
    The CTE `user_days`: each user with each UTC day of a listen, from 2000 to today. The totals have the days that they cover, the
    history has those since then.
#}
{% macro user_days() -%}
user_totals as (

    select * from {{ ref('user_totals') }}

),

recent_listens as (

    {{ known_listens(none, since_totals='user_totals') }}

),

all_user_days as (

    select
        user_id,
        unnest(days) as day
    from user_totals
    union all
    select distinct
        user_id,
        date_trunc('day', listened_at, 'UTC')::date as day
    from recent_listens

),

user_days as (

    select * from all_user_days
    where day >= '2000-01-01'

)
{%- endmacro %}
