"""The playground's server: every page has a kernel of 1 GB, which must end with its page, and not before."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import nbformat
import psutil
import pytest
from playwright.sync_api import expect, sync_playwright
from test_playground import ROOT, free_port
from waiting import until

pytestmark = [pytest.mark.browser, pytest.mark.slow]
NOTEBOOK = """
import ipywidgets
button, said = ipywidgets.Button(description="ask"), ipywidgets.HTML("0 answers")
def answer(_):
    said.value = f"{int(said.value.split()[0]) + 1} answers"
button.on_click(answer)
ipywidgets.VBox([button, said])
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, psutil.Process]]:
    """The server as `make playground` starts it, in a folder with the project's voila.json, but less patient."""
    settings = json.loads((ROOT / "voila.json").read_text(encoding="utf-8"))
    settings["MappingKernelManager"] |= {"cull_idle_timeout": 4, "cull_interval": 1}
    (tmp_path / "voila.json").write_text(json.dumps(settings), encoding="utf-8")
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(NOTEBOOK)]), tmp_path / "page.ipynb")
    port = free_port()
    command = [sys.executable, "-m", "voila", "page.ipynb", "--no-browser", f"--port={port}"]
    of_its_own = {"JUPYTER_CONFIG_DIR": str(tmp_path / "config"), "JUPYTER_RUNTIME_DIR": str(tmp_path / "runtime")}
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=tmp_path, env={**os.environ, **of_its_own}, stdout=log, stderr=log)
    try:
        until(lambda: answers(f"http://127.0.0.1:{port}/voila/static/voila.js") or process.poll() is not None)
        assert process.poll() is None, (tmp_path / "log").read_text()
        yield f"http://127.0.0.1:{port}", psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(30)


def answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5)
    except OSError:
        return False
    return True


def kernels(server: psutil.Process) -> int:
    living = [child for child in server.children() if child.status() != psutil.STATUS_ZOMBIE]
    return sum("ipykernel_launcher" in " ".join(child.cmdline()) for child in living)


def test_a_kernel_ends_with_its_page_and_not_before(chromium: str, server: tuple[str, psutil.Process]) -> None:
    url, process = server
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        kept, closed = browser.new_page(), browser.new_page()
        for page in (kept, closed):
            page.goto(url)
            page.get_by_role("button", name="ask").click(timeout=60_000)
            expect(page.get_by_text("1 answers")).to_be_visible(timeout=15_000)
        closed.reload()  # a reload is a new page, with a new kernel
        closed.get_by_role("button", name="ask").click(timeout=60_000)
        expect(closed.get_by_text("1 answers")).to_be_visible(timeout=15_000)
        assert kernels(process) >= 2
        closed.close()
        until(lambda: kernels(process) == 1)
        kept.wait_for_timeout(8_000)  # longer than an idle kernel without a page may live
        kept.get_by_role("button", name="ask").click()
        expect(kept.get_by_text("2 answers")).to_be_visible(timeout=15_000)
        kept.close()
        until(lambda: kernels(process) == 0)
        browser.close()
