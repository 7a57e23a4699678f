"""Define how the progress of a step is shown. The steps report it as the recommender does."""

from collections.abc import Callable
from contextlib import AbstractContextManager

from recommender.progress import Progress

Display = Callable[[str, str], AbstractContextManager[Progress]]
"""Show a step of a run, given the run's id and the step's name, for as long as it takes."""
