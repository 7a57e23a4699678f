with

{{ days() }}

select
    days.day,
    counts.listens,
    counts.new_listens,
    counts.listens - counts.new_listens as repeat_listens,
    counts.listeners
from days
cross join lateral (
    select
        count(*) as listens,
        count(*) filter (where listens.is_first_listen) as new_listens,
        count(distinct listens.user_id) as listeners
    from {{ ref('listens') }} as listens
    where
        {{ is_on('listens.listened_at', 'days.day') }}
    having count(*) > 0
) as counts
