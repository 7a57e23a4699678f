{{ genre_popularity() }}
