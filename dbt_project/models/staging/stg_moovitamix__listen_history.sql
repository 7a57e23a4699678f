with

source as (

    select * from {{ source('staging', 'listen_history') }}

),

-- a removal has no payload, only its key
identified as (

    select
        *,
        coalesce(payload -> 'user_id', key::jsonb -> 0) as user_id_json,
        coalesce(payload -> 'created_at', key::jsonb -> 1) as created_at_json
    from source

),

renamed as (

    select
        ---------- ids
        key,
        {{ safe_bigint('user_id_json') }} as user_id,
        (payload -> 'user_id')::text as user_id_raw,
        {{ safe_whole_numbers("(payload -> 'items')") }} as items,
        (payload -> 'items')::text as items_raw,

        ---------- times
        {{ safe_timestamptz('created_at_json') }} as created_at,
        (payload -> 'created_at')::text as created_at_raw,
        {{ safe_timestamptz("(payload -> 'updated_at')") }} as updated_at,
        (payload -> 'updated_at')::text as updated_at_raw,

        ---------- differences from the API's contract
        {{ absent_fields(['items']) }} as absent_fields,
        case
            when jsonb_typeof(payload -> 'items') <> 'null' and {{ safe_whole_numbers("(payload -> 'items')") }} is null
                then 'items'
        end as mistyped_fields,
        {{ unknown_fields(['user_id', 'items', 'created_at', 'updated_at']) }} as unknown_fields,

        ---------- version
        payload is null as is_removal,
        version_seq,
        _dlt_load_id as _load_id,
        _dlt_id
    from identified

)

select * from renamed
