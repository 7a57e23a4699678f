"""Isolate the tests from the user who runs them: settings, working folders, signals."""

import contextlib
import os
import signal
import tempfile
from collections.abc import Iterator

import pytest

from pipeline.settings import ENV_FILE, SETTINGS
from tests import garbage_collection  # noqa: F401

MEMORY = "/dev/shm"
MEMORY_BYTES = 4 << 30


def pytest_configure() -> None:
    """Keep temporary files, the test servers' data among them, in memory where it has room; be a batch process.

    A database is some 300 files, and a test with an empty one mostly waits for the disk. The workers inherit TMPDIR.
    """
    if "TMPDIR" not in os.environ and os.access(MEMORY, os.W_OK):
        space = os.statvfs(MEMORY)
        if space.f_bavail * space.f_frsize >= MEMORY_BYTES:
            os.environ["TMPDIR"] = MEMORY
            tempfile.tempdir = None  # not the folder that was found before
    # it would import trio, which nobody uses here
    os.environ["HYPOTHESIS_NO_PLUGINS"] = "1"
    # A batch process that wakes up does not interrupt a running one, which would lose its caches: with three busy
    # processes, that saved up to a tenth of the time.
    with contextlib.suppress(AttributeError, OSError):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


@pytest.fixture(scope="session", autouse=True)
def settings_isolated() -> Iterator[None]:
    """Keep tests away from the warehouse and the API of the user who runs the suite."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name in SETTINGS or name.startswith("PG"):
                patch.delenv(name)
        patch.setenv(ENV_FILE, "")
        patch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
        # seconds of each run, which only the tests of this step need
        patch.setenv("RECOMMEND", "false")
        # a model is trained with the standard settings: a search for better ones takes a minute
        patch.setenv("TRAIN_BUDGET", "0")
        yield


@pytest.fixture(scope="session", autouse=True)
def sigint_restored() -> Iterator[None]:
    """Restore SIGINT: in a background job of a shell, the commands that tests interrupt would ignore it."""
    before = signal.getsignal(signal.SIGINT)
    if before == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session", autouse=True)
def isolated_working_folders(tmp_path_factory, settings_isolated) -> Iterator[None]:
    """Keep dlt's and dbt's working files of the tests out of the checkout."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOOVITAMIX_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("DBT_TARGET_PATH", str(tmp_path_factory.mktemp("dbt_target")))
        patch.setenv("DBT_LOG_PATH", str(tmp_path_factory.mktemp("dbt_logs")))
        yield
