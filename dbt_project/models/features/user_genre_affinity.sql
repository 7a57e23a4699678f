with

listens as (

    select * from {{ ref('listen_history') }}
    where listened_at <= {{ as_of() }}

),

track_genres as (

    select * from {{ ref('track_genres') }}

),

aged_listens as (

    select
        listens.user_id,
        track_genres.genre,
        listens.listened_at,
        extract(epoch from {{ as_of() }} - listens.listened_at)::float8 / 86400 as age_days
    from listens
    inner join track_genres on listens.track_id = track_genres.track_id

),

per_genre as (

    select
        user_id,
        genre,
        count(*) as listens,
        count(*) filter (where age_days < 7) as listens_7d,
        count(*) filter (where age_days < 30) as listens_30d,
        count(*) filter (where age_days < 90) as listens_90d,
        -- below exp(-700) float8 underflows, and Postgres makes that an error
        sum(exp(greatest(-ln(2::float8) * age_days / {{ var('affinity_half_life_days') }}, -700))) as affinity,
        max(listened_at) as last_listened_at
    from aged_listens
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
        -- rounded: sums of the same listens differ in their last bits with the order in which they were added
        row_number() over (partition by user_id order by round(affinity::numeric, 9) desc, genre asc) as genre_rank,
        last_listened_at
    from per_genre

)

select * from ranked
