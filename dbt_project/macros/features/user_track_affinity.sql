{% macro user_track_affinity(at=none) -%}
with

listens as (

    {{ known_listens(at) }}

)

select
    user_id,
    track_id,
    count(*) as listens,
    sum({{ decay('1::float8', 'age_days') }}) as affinity,
    min(listened_at) as first_listened_at,
    max(listened_at) as last_listened_at
from listens
group by 1, 2
{%- endmacro %}
