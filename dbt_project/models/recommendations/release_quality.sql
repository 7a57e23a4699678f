with

quality as (

    select * from {{ source('recommendations', 'quality') }}

),

models as (

    select * from {{ source('recommendations', 'model_versions') }}

),

newest as (

    select max(day) as day from quality

),

totals as (

    select
        quality.release_id,
        quality.list,
        quality.segment,
        quality.model_version,
        min(quality.day) as first_on,
        max(quality.day) as last_on,
        count(*) as days,
        sum(quality.users) as user_days,
        sum(quality.plays) as plays,
        sum(quality.recommended_plays) as recommended_plays,
        sum(quality.users * quality.hit_rate) / sum(quality.users) as hit_rate,
        sum(quality.users * quality.popularity_hit_rate) / sum(quality.users) as popularity_hit_rate,
        sum(quality.users * quality.ndcg) / sum(quality.users) as ndcg,
        sum(quality.users * quality.popularity_ndcg) / sum(quality.users) as popularity_ndcg,
        count(*) filter (where quality.ndcg_difference_low > 0) as days_better,
        count(*) filter (where quality.ndcg_difference_high < 0) as days_worse,
        max(quality.day) > (select newest.day - 7 from newest) as is_recent
    from quality
    group by quality.release_id, quality.list, quality.segment, quality.model_version

)

select
    totals.release_id,
    totals.list,
    totals.segment,
    totals.model_version,
    models.model,
    totals.first_on,
    totals.last_on,
    totals.is_recent,
    totals.days,
    totals.user_days::bigint as user_days,
    totals.plays::bigint as plays,
    totals.recommended_plays::double precision / totals.plays as recommended_share,
    totals.hit_rate,
    totals.popularity_hit_rate,
    totals.ndcg,
    totals.popularity_ndcg,
    totals.days_better,
    totals.days_worse
from totals
inner join models on totals.model_version = models.model_version
