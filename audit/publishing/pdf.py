"""The report as PDF, printed by a Chromium that is installed anyway."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from reid_audit.metrics.errors import InputError

PDF = "pdf"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "msedge")
SECONDS = 120
_DATES = re.compile(rb"/(CreationDate|ModDate) \(D:\d{14}")


def print_pdf(page: str) -> bytes:
    """Print an HTML page on A4; equal pages give equal bytes, since the dates are blanked.

    Raises:
        InputError: no Chromium is installed, or it did not print.
    """
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise InputError(
            "-f pdf: needs Chromium or Chrome on the PATH; install one, or render -f html and "
            "print it from any browser (A4, background graphics on, no headers)."
        )
    with tempfile.TemporaryDirectory() as folder:
        source, made = Path(folder) / "report.html", Path(folder) / "report.pdf"
        source.write_text(page, encoding="utf-8")
        command = [
            browser,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-pdf-header-footer",
            f"--user-data-dir={folder}/profile",
            f"--print-to-pdf={made}",
            source.as_uri(),
        ]
        try:
            subprocess.run(command, capture_output=True, timeout=SECONDS, check=True)
        except (OSError, subprocess.SubprocessError) as error:
            raise InputError(f"-f pdf: {Path(browser).name} did not print the report.") from error
        return _DATES.sub(lambda date: date.group()[:-14] + b"0" * 14, made.read_bytes())
