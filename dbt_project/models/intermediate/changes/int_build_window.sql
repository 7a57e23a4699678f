{{ config(pre_hook='{{ distribute_builds() }}') }}

with

publications as (

    select
        *,
        min(seq) over (partition by load_id, table_name) as first_seq
    from {{ source('gate', 'publications') }}

),

builds as (

    select * from {{ source('prep', 'builds') }}

),

stateful_models as (

    select
        unnest(array{{ stateful_models() }}::text[]) as model,
        unnest(array{{ stateful_column_counts() }}::integer[]) as column_count

),

current_inputs as (

    select
        coalesce((select max(seq) from publications), 0) as until_seq,
        {{ fingerprint() }} as fingerprint,
        -- whole days, older than the 90 days that the features count listen by listen
        -- in hours, because a day in the session's time zone can have 23 or 25
        date_trunc('day', now() - interval '2160 hours', 'UTC') as totals_until

),

progress as (

    select
        min(
            case
                when
                    -- dbt adds a column that somebody dropped, but empty
                    (
                        select count(*) from pg_attribute as columns
                        where
                            columns.attrelid = to_regclass(stateful_models.model)
                            and columns.attnum > 0
                            and not columns.attisdropped
                    ) >= stateful_models.column_count
                    and builds.fingerprint = current_inputs.fingerprint
                    -- not so if the clock was set back
                    and builds.totals_until <= current_inputs.totals_until
                    then builds.seq
                else 0
            end
        ) as built_seq,
        min(builds.seq) filter (
            where builds.model in ('prep.user_totals', 'prep.user_genre_totals', 'prep.first_listens')
        ) as totals_seq,
        min(builds.seq) filter (where builds.model = 'marts.listen_history') as listens_seq
    from stateful_models
    cross join current_inputs
    left join builds on stateful_models.model = builds.model

),

first_publications as (

    select
        table_name,
        min(seq) as seq
    from {{ ref('int_publications') }}
    group by 1

),

-- Rejecting a load of users or tracks can remove listens of any document. And without the first published load of a table,
-- what the next one brought counts as always known. Both end when the load is released again.
reversed_loads as (

    select count(*) as load_count
    from publications
    cross join progress
    left join first_publications on publications.table_name = first_publications.table_name
    where
        publications.seq > progress.built_seq
        and publications.seq > publications.first_seq
        and publications.kind in ('reject', 'release')
        and (publications.table_name in ('users', 'tracks') or publications.first_seq <= first_publications.seq)

),

build as (

    select
        case
            when {{ is_full_refresh() }} or reversed_loads.load_count > 0 then 0
            else progress.built_seq
        end as after_seq,
        current_inputs.until_seq,
        current_inputs.fingerprint,
        current_inputs.totals_until,
        progress.listens_seq,
        progress.totals_seq <> progress.listens_seq as are_totals_behind
    from current_inputs
    cross join progress
    cross join reversed_loads

)

select * from build
