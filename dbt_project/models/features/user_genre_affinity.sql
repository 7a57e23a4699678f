{{ user_genre_affinity() }}
