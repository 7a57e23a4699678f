{{ track_profile() }}
