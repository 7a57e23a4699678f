with

{{ days() }},

{{ user_days() }},

followed_days as (

    select
        day,
        coalesce(lead(day) over (partition by user_id order by day) - day, 30) as days_until_next
    from user_days

),

-- a day of listening makes a user active for 7 and for 30 days, or until the user's next one
changes as (

    select
        day,
        1 as daily,
        1 as weekly,
        1 as monthly
    from followed_days
    union all
    select
        day + least(days_until_next, 7) as day,
        0 as daily,
        -1 as weekly,
        0 as monthly
    from followed_days
    union all
    select
        day + least(days_until_next, 30) as day,
        0 as daily,
        0 as weekly,
        -1 as monthly
    from followed_days

),

changes_per_day as (

    select
        day,
        sum(daily) as daily,
        sum(weekly) as weekly,
        sum(monthly) as monthly
    from changes
    group by 1

),

active_users as (

    select
        days.day,
        coalesce(changes_per_day.daily, 0) as daily_users,
        coalesce(sum(changes_per_day.weekly) over (order by days.day), 0)::bigint as weekly_users,
        coalesce(sum(changes_per_day.monthly) over (order by days.day), 0)::bigint as monthly_users
    from days
    left join changes_per_day on days.day = changes_per_day.day

)

select * from active_users
where day >= (select min(user_days.day) from user_days)
