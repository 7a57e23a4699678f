"""Never visit old objects, mostly those of dbt and Great Expectations: it took a sixth of the time of the runs.

This is imported before all other modules, because their imports make the objects.
"""

import gc

gc.set_threshold(*gc.get_threshold()[:2], 1_000_000)
