{{
    config(
        materialized='incremental',
        incremental_strategy='reconcile',
        unique_key=['id'],
        on_schema_change='append_new_columns',
        full_refresh=false,
        contract={'enforced': true},
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

parked as (

    select
        listens.id,
        listens.user_id,
        listens.track_id,
        users.id is null as is_user_unknown,
        tracks.id is null as is_track_unknown,
        listens.listened_at,
        listens.created_at,
        listens._load_id
    from listens
    left join users on listens.user_id = users.id
    left join tracks on listens.track_id = tracks.id
    where users.id is null or tracks.id is null

)

select * from parked
