"""Compare how the lists of a model do now with how they did at its launch: one rule for the alert and for a retraining.

docs/operations/retraining.md#degradation explains it. Quality is the difference in NDCG@10 to popularity, on the same
users and nights.
"""

# A launch is the mean of so many nights, and so many nights in a row below it are a degradation.
NIGHTS = 3
# A row per list and model version with measured nights, except popularity.
# `at_launch`: the mean of the version's first nights or of the last ones before it, whichever is higher: a bad fit must
# not become the standard for itself. NULL: too few nights.
# `newest`: the mean of its newest nights.
# `nights_below`: its newest nights in a row whose upper bound is below that at launch.
QUERY = f"""
with measured as (
    -- of several releases on a day, the one that most users saw
    select distinct on (list, day) list, day, model_version, ndcg_difference, ndcg_difference_high
    from recommendations.quality
    where segment = 'all' and users > 0 and day > (select max(day) from recommendations.quality) - 60
    order by list, day, users desc, release_id
),
numbered as (
    select
        *,
        row_number() over (partition by list, model_version order by day) as nth,
        row_number() over (partition by list, model_version order by day desc) as age,
        count(*) over (partition by list, model_version) as nights,
        min(day) over (partition by list, model_version) as launched_on
    from measured
),
launches as (
    select
        list,
        model_version,
        nights,
        greatest(
            avg(ndcg_difference) filter (where nth <= {NIGHTS} and nights >= 2 * {NIGHTS}),
            (
                select case when count(*) = {NIGHTS} then avg(last_before.ndcg_difference) end
                from (
                    select ndcg_difference
                    from measured
                    where measured.list = numbered.list and measured.day < numbered.launched_on
                    order by day desc
                    limit {NIGHTS}
                ) as last_before
            )
        ) as at_launch,
        avg(ndcg_difference) filter (where age <= {NIGHTS}) as newest
    from numbered
    group by list, model_version, nights, launched_on
)
select launches.*, coalesce(good.age - 1, launches.nights) as nights_below
from launches
inner join recommendations.model_versions on launches.model_version = model_versions.model_version
cross join lateral (
    select min(age) as age
    from numbered
    where numbered.list = launches.list and numbered.model_version = launches.model_version
        and (launches.at_launch is null or ndcg_difference_high >= launches.at_launch)
) as good
where model_versions.model <> 'popularity'
"""
