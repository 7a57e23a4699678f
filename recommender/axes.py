"""Name what the rows and the columns of a model's arrays stand for, so that the model can move to another catalogue."""

from collections.abc import Mapping

TRACKS, GENRES = "tracks", "genres"
# Instead of axes: the genres of each track, tracks x genres, which are always those of the catalogue.
CATALOGUE_GENRES = ("genres of the catalogue",)

# By class and array. Further columns are the model's own.
Axes = Mapping[type, Mapping[str, tuple[str, ...]]]
