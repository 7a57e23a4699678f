"""Parse the dbt project when the server of forked processes starts: each of them would take seconds for it."""

import os
from unittest import mock

import pytest

from pipeline.run.dbt import Dbt
from tests import library_shortcuts

library_shortcuts.shorten_dbt(pytest.MonkeyPatch())
# parsing connects to no database, and each process gets the name of its own
with mock.patch.dict(os.environ, {"PGDATABASE": "any"}):
    Dbt()._run("parse")
