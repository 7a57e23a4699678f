{{
    config(
        unique_key=['id'],
        distribution='reference',
        scope={'model': 'int_changed_tracks', 'match': {'id': 'id'}},
    )
}}

{% set columns = [
    'id', 'name', 'artist', 'songwriters', 'duration', 'genres', 'album', 'created_at', 'updated_at',
] %}

with

{{ latest_versions('int_published_tracks', 'int_changed_tracks', 'tracks', columns) }}

select * from latest_versions
