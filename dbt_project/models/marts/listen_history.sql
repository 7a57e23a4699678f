{{
    config(
        unique_key=['user_id', 'listened_at', 'id'],
        partition_by='listened_at',
        indexes=[{'columns': ['track_id']}],
    )
}}

with

listens as (

    select * from {{ ref('int_listens') }}

),

users as (

    select id from {{ ref('users') }}

),

tracks as (

    select id from {{ ref('tracks') }}

),

-- the others wait in parked_listens
listens_with_parents as (

    select
        listens.id,
        listens.user_id,
        listens.track_id,
        listens.listened_at,
        listens.created_at,
        listens._load_id
    from listens
    inner join users on listens.user_id = users.id
    inner join tracks on listens.track_id = tracks.id

)

select * from listens_with_parents
