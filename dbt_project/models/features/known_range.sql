with

stateful_models as (

    select unnest(array{{ stateful_models() }}::text[]) as model

),

builds as (

    -- a model that is missing, or was built by other SQL, is not built
    select
        min(
            case when builds.fingerprint = {{ fingerprint() }} then builds.seq else 0 end
        ) as built_seq
    from stateful_models
    left join {{ source('prep', 'builds') }} as builds on stateful_models.model = builds.model

),

publications as (

    select coalesce(max(seq), 0) as published_seq from {{ source('gate', 'publications') }}

),

prunings as (

    -- earlier versions recorded no horizon
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
