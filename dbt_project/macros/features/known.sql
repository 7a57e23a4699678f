{#
    Features are computed for now, from marts and totals, or as known at a moment, from the histories. These macros say what is
    counted in either case. `at`: none for now, or the moment as an SQL expression.
#}

{% macro moment(at) -%}
{{ at or current_moment() }}
{%- endmacro %}

{# Unit tests replace it by a fixed time. #}
{% macro current_moment() -%}
now()
{%- endmacro %}

{#
    The listens known at the moment, with their age then in days. `since_totals`: for now, only those that this table of totals does not cover. `last_days`: only
    those of the last n times 24 hours.
#}
{% macro known_listens(at, since_totals=none, last_days=none) -%}
    select
        user_id,
        track_id,
        listened_at,
        {{ days_between('listened_at', moment(at)) }} as age_days
    from {{ ref('listen_history') }}
    where
        listened_at <= {{ moment(at) }}
        {% if at -%}
        and known_at <= {{ at }}
        {%- elif since_totals -%}
        and listened_at >= (select covered.totals_until from ({{ build_progress(since_totals) }}) as covered)
        {%- endif %}
        {% if last_days -%}
        and {{ is_in_last(last_days, at) }}
        {%- endif %}
{%- endmacro %}

{#
    What a user played, from `known_listens`. For now by track, so that its genres are looked up once, however often the user played it.
    As known at a moment by listen: then the whole history is read, and grouping it takes longer than it saves.
#}
{% macro plays(listens, at) -%}
    {%- set sum, max = ('', '') if at else ('sum', 'max') %}
    select
        user_id,
        track_id,
        {{ sum }}(1)::integer as listens,
        {{ sum }}(({{ is_in_last(7, at) }})::integer)::integer as listens_7d,
        {{ sum }}(({{ is_in_last(30, at) }})::integer)::integer as listens_30d,
        {{ sum }}(({{ is_in_last(90, at) }})::integer)::integer as listens_90d,
        {{ sum }}({{ decay('1::float8', 'age_days') }}) as affinity,
        {{ max }}(listened_at) as last_listened_at
    from {{ listens }}
    {%- if not at %}
    group by 1, 2
    {%- endif %}
{%- endmacro %}

{# The listens of the last n times 24 hours. #}
{% macro is_in_last(days, at) -%}
listened_at > {{ moment(at) }} - interval '{{ 24 * days }} hours'
{%- endmacro %}

{# The totals to which the listens since are added. None as known at a moment, because totals include what became known later. #}
{% macro known_totals(at, model_name) -%}
    {% if at -%}
    {{ no_rows(model_name) }}
    {%- else -%}
    select * from {{ ref(model_name) }}
    {%- endif %}
{%- endmacro %}

{# The users who were in the API, with their declared favourite genres. #}
{% macro known_users(at) -%}
    {% if at -%}
    select
        user_id,
        favorite_genres
    from {{ ref('user_history') }}
    where
        {{ is_valid(at) }}
        and {{ is_present(at) }}
    {%- else -%}
    select
        id as user_id,
        {{ genre_list('favorite_genres') }} as favorite_genres
    from {{ ref('users') }}
    where deleted_at is null
    {%- endif %}
{%- endmacro %}

{# The genres of all tracks, also of removed ones. #}
{% macro known_track_genres(at) -%}
    {% if at -%}
    select
        history.track_id,
        names.genre
    from {{ ref('track_history') }} as history
    cross join lateral unnest(history.genres) as names (genre)
    where {{ is_valid(at) }}
    {%- else -%}
    select
        track_id,
        genre
    from {{ ref('track_genres') }}
    {%- endif %}
{%- endmacro %}

{# The tracks that were in the API. #}
{% macro known_tracks(at) -%}
    {% if at -%}
    select
        track_id,
        artist,
        genres,
        created_at
    from {{ ref('track_history') }}
    where
        {{ is_valid(at) }}
        and {{ is_present(at) }}
    {%- else -%}
    select
        id as track_id,
        artist,
        {{ genre_list('genres') }} as genres,
        created_at
    from {{ ref('tracks') }}
    where deleted_at is null
    {%- endif %}
{%- endmacro %}

{% macro is_valid(at) -%}
(valid_from is null or valid_from <= {{ at }})
        and (valid_to is null or valid_to > {{ at }})
{%- endmacro %}

{% macro is_present(at) -%}
(removed_at is null or removed_at > {{ at }})
{%- endmacro %}
