{% macro user_genre_affinity(at=none) -%}
with

track_genres as (

    {{ known_track_genres(at) }}

),

totals as (

    {{ known_totals(at, 'user_genre_totals') }}

),

listens as (

    {{ known_listens(at, since_totals='user_genre_totals') }}

),

plays as (

    {{ plays('listens', at) }}

),

parts as (

    select
        user_id,
        genre,
        listens,
        0::bigint as listens_7d,
        0::bigint as listens_30d,
        0::bigint as listens_90d,
        {{ decay('affinity', days_between('affinity_at', moment(at))) }} as affinity,
        last_listened_at
    from totals
    union all
    select
        plays.user_id,
        track_genres.genre,
        sum(plays.listens) as listens,
        sum(plays.listens_7d) as listens_7d,
        sum(plays.listens_30d) as listens_30d,
        sum(plays.listens_90d) as listens_90d,
        sum(plays.affinity) as affinity,
        max(plays.last_listened_at) as last_listened_at
    from plays
    inner join track_genres on plays.track_id = track_genres.track_id
    group by 1, 2

),

per_genre as (

    select
        user_id,
        genre,
        sum(listens)::bigint as listens,
        sum(listens_7d)::bigint as listens_7d,
        sum(listens_30d)::bigint as listens_30d,
        sum(listens_90d)::bigint as listens_90d,
        sum(affinity) as affinity,
        max(last_listened_at) as last_listened_at
    from parts
    group by 1, 2

),

ranked as (

    select
        user_id,
        genre,
        listens,
        listens::float8 / sum(listens) over (partition by user_id)::float8 as share,
        listens_7d,
        listens_30d,
        listens_90d,
        affinity,
        -- rounded, because the order of addition changes the last bits of a sum
        row_number() over (partition by user_id order by round(affinity::numeric, 9) desc, genre collate "C" asc) as genre_rank,
        last_listened_at
    from per_genre

)

select * from ranked
{%- endmacro %}
