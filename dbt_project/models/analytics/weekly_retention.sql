with

{{ user_days() }},

user_weeks as (

    select distinct
        user_id,
        date_trunc('week', day::timestamp)::date as week
    from user_days

),

dated_weeks as (

    select
        week,
        min(week) over (partition by user_id) as cohort_week
    from user_weeks

),

listeners as (

    select
        cohort_week,
        week,
        count(*) as listeners
    from dated_weeks
    group by 1, 2

),

cohorts as (

    select
        cohort_week,
        listeners as users
    from listeners
    where week = cohort_week

),

retention as (

    select
        cohorts.cohort_week,
        weeks.week_number,
        cohorts.users,
        coalesce(listeners.listeners, 0) as listeners
    from cohorts
    cross join
        lateral generate_series(
            0, (({{ current_moment() }} at time zone 'UTC')::date - cohorts.cohort_week) / 7
        ) as weeks (week_number)
    left join listeners
        on
            cohorts.cohort_week = listeners.cohort_week
            and cohorts.cohort_week + 7 * weeks.week_number = listeners.week

)

select
    cohort_week,
    week_number,
    users,
    listeners,
    listeners::float8 / users as retention
from retention
