{% set texts = ['first_name', 'last_name', 'gender', 'favorite_genres'] %}

with

source as (

    select * from {{ source('staging', 'users') }}

),

-- a removal has no payload, only its key
identified as (

    select
        *,
        {{ safe_bigint("coalesce(payload -> 'id', key::jsonb -> 0)") }} as whole_id
    from source

),

renamed as (

    select
        ---------- ids
        key,
        -- 7 and 7.0 are different keys: only 7 gets the id, so that removing 7.0 does not remove 7
        case when key = '[' || whole_id || ']' then whole_id end as id,
        (payload -> 'id')::text as id_raw,

        ---------- text
        {{ safe_text("(payload -> 'first_name')") }} as first_name,
        {{ safe_text("(payload -> 'last_name')") }} as last_name,
        {{ safe_text("(payload -> 'email')") }} as email,
        (payload -> 'email')::text as email_raw,
        {{ safe_text("(payload -> 'gender')") }} as gender,
        {{ safe_text("(payload -> 'favorite_genres')") }} as favorite_genres,

        ---------- times
        {{ safe_timestamptz("(payload -> 'created_at')") }} as created_at,
        (payload -> 'created_at')::text as created_at_raw,
        {{ safe_timestamptz("(payload -> 'updated_at')") }} as updated_at,
        (payload -> 'updated_at')::text as updated_at_raw,

        ---------- differences from the API's contract
        {{ absent_fields(texts + ['email']) }} as absent_fields,
        {{ mistyped_texts(texts) }} as mistyped_fields,
        {{ unknown_fields(texts + ['id', 'email', 'created_at', 'updated_at']) }} as unknown_fields,

        ---------- version
        payload is null as is_removal,
        version_seq,
        _dlt_load_id as _load_id,
        _dlt_id
    from identified

)

select * from renamed
