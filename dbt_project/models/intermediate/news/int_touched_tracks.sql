{{ touched('stg_moovitamix__tracks', 'tracks') }}
