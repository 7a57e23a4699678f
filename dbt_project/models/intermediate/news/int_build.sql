with

publications as (

    select * from {{ source('gate', 'publications') }}

),

builds as (

    select * from {{ source('prep', 'builds') }}

),

kept_models as (

    select unnest(array{{ kept_models() }}::text[]) as model

),

now_due as (

    select
        coalesce((select max(seq) from publications), 0) as until_seq,
        {{ fingerprint() }} as fingerprint,
        -- whole days, and never within the 90 days that the features count one by one
        -- (hours: days are shorter or longer when the session's zone changes its clocks)
        date_trunc('day', now() - interval '2160 hours', 'UTC') as totals_until

),

progress as (

    select
        min(
            case
                when
                    to_regclass(kept_models.model) is not null
                    and builds.fingerprint = now_due.fingerprint
                    -- a clock that was set back
                    and builds.totals_until <= now_due.totals_until
                    then builds.seq
                else 0
            end
        ) as built_seq,
        min(builds.seq) filter (where builds.model like 'prep.user%totals') as totals_seq,
        min(builds.seq) filter (where builds.model = 'marts.listen_history') as listens_seq
    from kept_models
    cross join now_due
    left join builds on kept_models.model = builds.model

),

-- with a user or track that is taken back go listens of any document
taken_back as (

    select count(*) as loads
    from publications
    cross join progress
    where
        publications.seq > progress.built_seq
        and publications.kind = 'reject'
        and publications.table_name in ('users', 'tracks')

),

build as (

    select
        case when {{ is_full_refresh() }} or taken_back.loads > 0 then 0 else progress.built_seq end as after_seq,
        now_due.until_seq,
        now_due.fingerprint,
        now_due.totals_until,
        progress.listens_seq,
        progress.totals_seq <> progress.listens_seq as are_totals_behind
    from now_due
    cross join progress
    cross join taken_back

)

select * from build
