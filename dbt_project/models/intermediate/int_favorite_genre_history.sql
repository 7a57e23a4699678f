{{ validity_periods('int_published_users', 'users', 'favorite_genres') }}
