"""The pages in a real browser: accessibility, requests, phone width.

Needs node, Chromium, and the npm packages playwright-core and axe-core where node finds them, e.g.
`npm install --prefix FOLDER playwright-core axe-core` and `NODE_PATH=FOLDER/node_modules`.
"""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
NODE = shutil.which("node")
SCRIPT = Path(__file__).with_name("axe.cjs")


@pytest.fixture(scope="module")
def looked_at(html, hostile_html, tmp_path_factory):
    if not (NODE and CHROMIUM):
        pytest.skip("node and Chromium are not both installed")
    packages = "require('playwright-core'); require('axe-core')"
    if subprocess.run([NODE, "-e", packages], capture_output=True).returncode:
        pytest.skip("the npm packages playwright-core and axe-core are not installed")
    folder = tmp_path_factory.mktemp("pages")
    found = {}
    for name, page in {"plain": html, "hostile": hostile_html}.items():
        path = folder / f"{name}.html"
        path.write_text(page, encoding="utf-8")
        told = subprocess.run(
            [NODE, SCRIPT, path, CHROMIUM], capture_output=True, text=True, check=True
        )
        found[path] = json.loads(told.stdout)
    return found


def test_no_serious_violation_of_accessibility(looked_at):
    for looks in looked_at.values():
        for look in looks:
            grave = [v for v in look["violations"] if v["impact"] in ("serious", "critical")]
            assert not grave, look["name"]


def test_no_request_leaves_the_page_and_nothing_hangs_over_its_edge(looked_at):
    for path, looks in looked_at.items():
        assert [look["asked"] for look in looks] == [[f"file://{path}"]] * 3
        assert [look["overflow"] for look in looks] == [0, 0, 0]
