{{ changed_ids('stg_moovitamix__users', 'users') }}
