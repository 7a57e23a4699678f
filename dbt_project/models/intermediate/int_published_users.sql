{{ published_versions('stg_moovitamix__users', 'users') }}
