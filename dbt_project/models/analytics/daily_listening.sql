with

{{ days() }}

select
    days.day,
    sum(counts.listens)::bigint as listens,
    sum(counts.new_listens)::bigint as new_listens,
    sum(counts.listens - counts.new_listens)::bigint as repeat_listens,
    count(*) as listeners
from days
-- by user first: Citus counts nothing across users for each day
cross join
    lateral (
        select
            listens.user_id,
            count(*) as listens,
            count(*) filter (where listens.is_first_listen) as new_listens
        from {{ ref('listens') }} as listens
        where
            {{ is_on('listens.listened_at', 'days.day') }}
        group by 1
    ) as counts
group by 1
