"""Recommend tracks: models that know tracks and never people, their tuning, and their evaluation."""
