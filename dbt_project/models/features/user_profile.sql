{{ user_profile() }}
