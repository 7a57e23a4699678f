{{ changed_ids('stg_moovitamix__tracks', 'tracks') }}
