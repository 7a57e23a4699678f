"""From features to recommendations: what is known of users and tracks at a moment."""
