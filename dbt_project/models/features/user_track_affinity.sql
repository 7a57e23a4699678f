{{ user_track_affinity() }}
