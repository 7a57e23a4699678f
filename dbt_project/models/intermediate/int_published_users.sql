{{ published('stg_moovitamix__users', 'users') }}
