"""From features to recommendations: models that know tracks and never people, their tuning, their evaluation."""
