"""The demo runs as its reader would run it, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from http.client import HTTPConnection
from pathlib import Path

import pytest

from example_project import demo
from example_project.server import serve
from tests.processes import ends

DEMO = [sys.executable, "-m", "example_project.demo"]
ROOT = Path(__file__).resolve().parents[2]


def test_once_prints_every_page_and_ends() -> None:
    done = subprocess.run([*DEMO, "--once"], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.stderr == ""
    assert done.returncode == 0
    for page in demo.PAGES:
        row = re.search(rf"^{re.escape(page)} +([\d.]+) +([\d.]+) +(\d+)$", done.stdout, re.MULTILINE)
        assert row, f"no row for {page} in:\n{done.stdout}"
        cold, warm, _ = map(float, row.groups())
        assert cold > 0 < warm
    assert re.search(r"^hit ratio \d+\.\d % .* [\d,]+ entries, 2 worker processes$", done.stdout, re.MULTILINE)


def test_it_serves_until_it_is_told_to_end() -> None:
    with subprocess.Popen(DEMO, cwd=ROOT, stdout=subprocess.PIPE, text=True) as running:
        url = next(found for line in running.stdout if (found := re.match(r"http://([\d.]+):(\d+)/", line)))
        connection = HTTPConnection(url[1], int(url[2]), timeout=60)
        demo.get(connection, "/")
        running.send_signal(signal.SIGINT)
        assert running.wait(60) == 0
        connection.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((url[1], int(url[2])))


def test_an_interruption_before_the_end_of_the_table_is_a_failure() -> None:
    with subprocess.Popen(DEMO, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        running.stdout.readline()
        running.send_signal(signal.SIGTERM)
        assert running.wait(60) == 1
        assert "interrupted" in running.stderr.read()


def test_a_dead_worker_is_reported() -> None:
    with serve() as site, demo.connected(site) as connections:
        worker = demo.live_data(connections[1])["process"]
        os.kill(worker, signal.SIGKILL)
        with pytest.raises(demo.SiteFailed, match="worker"):
            demo.measure(connections, "/airport/EDDF/")


def test_a_site_that_cannot_start_is_reported() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = subprocess.run(
            [*DEMO, "--once", "--port", str(taken.getsockname()[1])],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.startswith("The demo failed: ")


def test_serving_leaves_no_process_behind() -> None:
    with serve() as site, demo.connected(site):
        os.killpg(site.process.pid, 0)
    assert ends(site.process.pid)
