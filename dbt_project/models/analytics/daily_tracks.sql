with

{{ days() }},

counts_per_day as (

    select
        days.day,
        counts.track_id,
        sum(counts.listens)::bigint as listens,
        count(*) filter (where counts.listens > 0) as listeners,
        sum(counts.listens_7d)::bigint as listens_7d,
        sum(counts.listens_14d)::bigint as listens_14d
    from days
    -- by user first: Citus counts nothing across users for each day
    cross join
        lateral (
            select
                listens.user_id,
                listens.track_id,
                count(*) filter (where {{ is_on('listens.listened_at', 'days.day') }}) as listens,
                count(*) filter (where {{ is_on('listens.listened_at', 'days.day', last_days=7) }}) as listens_7d,
                count(*) as listens_14d
            from {{ ref('listen_history') }} as listens
            where
                {{ is_on('listens.listened_at', 'days.day', last_days=14) }}
            group by 1, 2
        ) as counts
    group by 1, 2

)

select
    day,
    track_id,
    listens,
    listeners,
    rank() over (partition by day order by listens desc) as daily_rank,
    ln((1 + listens_7d)::float8 / (1 + listens_14d - listens_7d)) / ln(2::float8) as trend
from counts_per_day
where listens > 0
