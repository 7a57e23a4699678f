-- depends_on: {{ ref('int_track_genre_history') }}

with

track_genres as (

    {% if var('as_of') -%}
        select
            track_id,
            genre
        from {{ ref('int_track_genre_history') }}
        where {{ was_valid_then() }}
    {%- else -%}
        select * from {{ ref('track_genres') }}
    {%- endif %}

),

totals as (

    {{ totals_of('user_genre_totals') }}

),

recent_listens as (

    {{ listens_since_totals('user_genre_totals') }}

),

aged_listens as (

    select
        recent_listens.user_id,
        track_genres.genre,
        recent_listens.listened_at,
        {{ days_between('recent_listens.listened_at', as_of()) }} as age_days
    from recent_listens
    inner join track_genres on recent_listens.track_id = track_genres.track_id

),

parts as (

    select
        user_id,
        genre,
        listens,
        0 as listens_7d,
        0 as listens_30d,
        0 as listens_90d,
        {{ decay('affinity', days_between('affinity_at', as_of())) }} as affinity,
        last_listened_at
    from totals
    union all
    select
        user_id,
        genre,
        count(*) as listens,
        count(*) filter (where age_days < 7) as listens_7d,
        count(*) filter (where age_days < 30) as listens_30d,
        count(*) filter (where age_days < 90) as listens_90d,
        sum({{ decay('1::float8', 'age_days') }}) as affinity,
        max(listened_at) as last_listened_at
    from aged_listens
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
        row_number() over (partition by user_id order by round(affinity::numeric, 9) desc, genre asc) as genre_rank,
        last_listened_at
    from per_genre

)

select * from ranked
