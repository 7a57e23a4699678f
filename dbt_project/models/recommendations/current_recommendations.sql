with

releases as (

    select * from {{ source('recommendations', 'releases') }}

),

published as (

    select release_id
    from {{ source('recommendations', 'release_history') }}
    order by history_seq desc
    limit 1

),

-- a track or user that was removed after the release is gone at once
users as (

    select id
    from {{ ref('users') }}
    where deleted_at is null

),

tracks as (

    select id
    from {{ ref('tracks') }}
    where deleted_at is null

)

select
    lists.user_id,
    lists.list,
    items.place::integer as rank,
    items.track_id,
    items.score,
    case split_part(items.reason, ' ', 1)
        when 'track' then jsonb_build_object('type', 'track', 'track_id', substr(items.reason, 7)::bigint)
        when 'genre' then jsonb_build_object('type', 'genre', 'genre', substr(items.reason, 7))
        else jsonb_build_object('type', 'popular')
    end as reason,
    case
        when items.place <= lists.model_items then 'model'
        when items.place <= lists.model_items + lists.genre_items then 'genres'
        else 'popular'
    end as source,
    lists.model_version,
    releases.released_at
-- no CTE: of a local one, Citus reads all rows before it filters them
from {{ source('recommendations', 'lists') }} as lists
cross join
    unnest(lists.track_ids, lists.scores, lists.reasons) with ordinality as items (track_id, score, reason, place)
inner join users on lists.user_id = users.id
inner join tracks on items.track_id = tracks.id
inner join releases on lists.release_id = releases.release_id
-- a value, so that only the partition of this release is read
where lists.release_id = (select published.release_id from published)
