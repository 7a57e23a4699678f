with

{{ days() }}

select
    days.day,
    counts.genre,
    counts.listens,
    counts.new_listens,
    counts.listens - counts.new_listens as repeat_listens,
    counts.listeners
from days
cross join lateral (
    select
        track_genres.genre,
        count(*) as listens,
        count(*) filter (where listens.is_first_listen) as new_listens,
        count(distinct listens.user_id) as listeners
    from {{ ref('listens') }} as listens
    inner join {{ ref('track_genres') }} as track_genres on listens.track_id = track_genres.track_id
    where
        {{ is_on('listens.listened_at', 'days.day') }}
    group by 1
) as counts
