{{
    config(
        unique_key=['id'],
        distribution={'by': 'id'},
        scope={'model': 'int_changed_users', 'match': {'id': 'id'}},
    )
}}

{% set columns = [
    'id', 'first_name', 'last_name', 'email', 'gender', 'favorite_genres', 'created_at', 'updated_at',
] %}

with

{{ latest_versions('int_published_users', 'int_changed_users', 'users', columns) }}

select * from latest_versions
