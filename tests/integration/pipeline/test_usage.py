"""The recorded usage of runs and steps matches work of a known size."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import psycopg
import pytest

from pipeline.records.resource_usage import Meter
from tests.command import until
from warehouse import embedded_postgres

MEGABYTE = 1024 * 1024


def test_cpu_seconds_include_ended_children(tmp_path):
    meter = Meter(tmp_path, None)
    burn(0.3)
    subprocess.run([sys.executable, "-c", "import time\nwhile time.process_time() < 0.5: pass"], check=True)
    assert 0.75 <= meter.measures()["cpu_seconds"] < 2
    assert Meter(tmp_path, None).measures()["cpu_seconds"] < 0.2, "what went before does not count"


def burn(seconds: float) -> None:
    began = time.process_time()
    while time.process_time() < began + seconds:
        pass


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux forgets a peak")
def test_peak_memory_of_a_run_is_the_highest_of_its_steps(tmp_path):
    run = Meter(tmp_path, None)
    run.start_step_meter()
    held = bytearray(300 * MEGABYTE)
    del held
    step = run.start_step_meter()
    assert run.measures()["peak_memory_bytes"] - step.measures()["peak_memory_bytes"] > 200 * MEGABYTE


def is_on_a_disk(folder: Path) -> bool:
    mounts = [mount for mount in psutil.disk_partitions(all=True) if folder.is_relative_to(mount.mountpoint)]
    return max(mounts, key=lambda mount: len(mount.mountpoint)).fstype not in ("tmpfs", "ramfs")


def test_bytes_written_to_a_disk_are_counted(tmp_path):
    if not is_on_a_disk(tmp_path):
        pytest.skip("the suite's temporary folder is in memory")
    meter = Meter(tmp_path, None)
    with (tmp_path / "file").open("wb") as file:
        file.write(os.urandom(5 * MEGABYTE))
        file.flush()
        os.fsync(file.fileno())
    assert meter.measures()["disk_written_bytes"] >= 5 * MEGABYTE


def test_bytes_over_the_network_are_counted(tmp_path):
    meter = Meter(tmp_path, None)
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as ours:
        its, _ = server.accept()
        with its:
            for _ in range(30):
                ours.sendall(bytes(100_000))
                its.recv(100_000, socket.MSG_WAITALL)
    measures = meter.measures()
    assert measures["network_sent_bytes"] >= 3_000_000 and measures["network_received_bytes"] >= 3_000_000


@pytest.mark.parametrize("is_still_connected", [True, False])
def test_the_cpu_time_of_the_embedded_postgres_includes_its_backends(
    is_still_connected, postgres_folder, postgres_url, tmp_path
):
    meter = Meter(tmp_path, embedded_postgres.process_id(postgres_folder))
    with psycopg.connect(postgres_url) as connection:
        connection.execute("select count(md5(n::text)) from generate_series(1, 1_500_000) as n")
        backend = connection.info.backend_pid
        if not is_still_connected:
            connection.close()
            until(lambda: not psutil.pid_exists(backend))
        assert meter.measures()["database_cpu_seconds"] > 0.2


def test_disk_space_is_measured_for_a_folder_that_does_not_exist_yet(tmp_path):
    measures = Meter(tmp_path / "not" / "yet", None).measures()
    there = os.statvfs(tmp_path)
    assert measures["disk_size_bytes"] == there.f_blocks * there.f_frsize
    assert abs(measures["disk_free_bytes"] - there.f_bavail * there.f_frsize) < 1024 * MEGABYTE


def test_counters_missing_on_a_machine_are_omitted(tmp_path, monkeypatch):
    def hidden(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(psutil, "net_io_counters", hidden)
    monkeypatch.delattr(psutil.Process, "io_counters")
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert set(Meter(tmp_path, ended.pid).measures()) == {
        "cpu_seconds",
        "peak_memory_bytes",
        "disk_free_bytes",
        "disk_size_bytes",
    }
