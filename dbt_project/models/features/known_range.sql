with

builds as (

    select coalesce(min(seq), 0) as built_seq from {{ source('prep', 'builds') }}

),

publications as (

    select coalesce(max(seq), 0) as published_seq from {{ source('gate', 'publications') }}

),

prunings as (

    -- earlier releases recorded no horizon
    select max(coalesce((details ->> 'horizon')::timestamptz, decided_at)) as known_from
    from {{ source('gate', 'decisions') }}
    where verb = 'prune'

)

select
    prunings.known_from,
    builds.built_seq,
    publications.published_seq
from prunings
cross join builds
cross join publications
