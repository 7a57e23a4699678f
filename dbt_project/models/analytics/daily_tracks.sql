with

{{ days() }}

select
    days.day,
    counts.track_id,
    counts.listens,
    counts.listeners,
    rank() over (partition by days.day order by counts.listens desc) as daily_rank,
    ln((1 + counts.listens_7d)::float8 / (1 + counts.listens_14d - counts.listens_7d)) / ln(2::float8) as trend
from days
cross join
    lateral (
        select
            listens.track_id,
            count(*) filter (where {{ is_on('listens.listened_at', 'days.day') }}) as listens,
            count(distinct listens.user_id) filter (where {{ is_on('listens.listened_at', 'days.day') }}) as listeners,
            count(*) filter (where {{ is_on('listens.listened_at', 'days.day', last_days=7) }}) as listens_7d,
            count(*) as listens_14d
        from {{ ref('listen_history') }} as listens
        where
            {{ is_on('listens.listened_at', 'days.day', last_days=14) }}
        group by 1
    ) as counts
where counts.listens > 0
