{{ published_versions('stg_moovitamix__tracks', 'tracks') }}
