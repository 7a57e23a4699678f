"""From listens to recommendations: models that know tracks and never people, their tuning, their evaluation.

The models read marts.listen_history, features.user_history and features.track_history.
"""
