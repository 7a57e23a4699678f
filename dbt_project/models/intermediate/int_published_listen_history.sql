{{ published_versions('stg_moovitamix__listen_history', 'listen_history') }}
