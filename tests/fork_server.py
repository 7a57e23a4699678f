"""Load what forked processes need, and parse the dbt project, once in the server that forks them."""

import gc
import os
from unittest import mock

import pytest

from pipeline.run.dbt import Dbt
from tests import library_shortcuts
from tests.integration.extract import crashing_extraction  # noqa: F401
from tests.integration.pipeline import crashing_run  # noqa: F401

shortcuts = pytest.MonkeyPatch()
library_shortcuts.shorten_dlt(shortcuts)
library_shortcuts.shorten_dbt(shortcuts)
library_shortcuts.shorten_great_expectations(shortcuts)
# each process gets the name of its own
with mock.patch.dict(os.environ, {"PGDATABASE": "any"}):
    Dbt()._run("parse")
# what is loaded now is not visited by the garbage collections of the forks, which would copy its pages
gc.freeze()
