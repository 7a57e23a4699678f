"""What is seen while a command runs: a live display on a terminal, plain lines anywhere else."""

import os
import pty
import subprocess
import sys

from sample_api.server import serve
from sample_api.world import World, snapshot
from tests.pipeline.command import PROJECT, finish, launch

WORLD = World(seed=15, users=40, tracks=40, documents=40)


def test_a_pipe_gets_plain_lines(database_url):
    with serve(snapshot(WORLD, 0)) as api:
        ended = finish(
            launch("extract", DATABASE_URL=database_url, API_BASE_URL=api.url, FORCE_COLOR="1", TERM="xterm-256color")
        )
    assert ended.code == 0 and ended.err == ""
    assert ended.out.startswith("extract ...\nextract done in ")
    assert "\x1b" not in ended.out and "\r" not in ended.out


def test_a_terminal_gets_a_live_display(database_url):
    with serve(snapshot(WORLD, 0), ["latency=0.2"]) as api:
        shown = on_a_terminal("extract", DATABASE_URL=database_url, API_BASE_URL=api.url, TERM="xterm-256color")
    assert "\x1b[2K" in shown, "no line was ever written over"
    assert "extract · " in shown and "40 of 40" in shown
    assert "landed, not judged yet" in shown.splitlines()[-1]


def on_a_terminal(*arguments, **environment):
    """What a command shows on a terminal of its own."""
    ours, its = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline", *arguments],
        cwd=PROJECT,
        env={**os.environ, **environment},
        stdin=its,
        stdout=its,
        stderr=its,
    )
    os.close(its)
    shown = b""
    try:
        while True:
            try:
                chunk = os.read(ours, 65536)
            except OSError:  # Linux says so when the other side is closed
                break
            if not chunk:
                break
            shown += chunk
        assert process.wait() == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    return shown.decode()
