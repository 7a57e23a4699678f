{{ touched('stg_moovitamix__users', 'users') }}
