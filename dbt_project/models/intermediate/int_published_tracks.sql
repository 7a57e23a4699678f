{{ published('stg_moovitamix__tracks', 'tracks') }}
