"""Make the README's pictures of a report: `python docs/pictures.py RUN/report.html`.

Only of runs on people who do not exist. Needs node, Chromium, pdftoppm, and playwright-core where
node finds it (see tests/reports/test_in_a_browser.py).
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

HERE = Path(__file__).parent
PAGES = 4


def keep(picture: Image.Image, name: str, width: int) -> None:
    """Save a picture small: this width, 160 colours."""
    height = round(picture.height * width / picture.width)
    small = picture.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
    small.quantize(160, dither=Image.Dither.NONE).save(HERE / name, optimize=True)


def main() -> None:
    """Draw the report that the command line names."""
    report = Path(sys.argv[1]).resolve()
    browser = shutil.which("chromium") or shutil.which("google-chrome") or "chromium"
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["node", HERE / "pictures.cjs", report, browser, folder], check=True)
        made = Path(folder)
        pdf = ["pdftoppm", "-r", "60", "-png", "-l", str(PAGES), made / "report.pdf", made / "page"]
        subprocess.run(pdf, check=True)
        pages = [Image.open(path) for path in sorted(made.glob("page*.png"))]
        sheet = Image.new("RGB", (2 * (pages[0].width + 8), 2 * (pages[0].height + 8)), "#9aa0a6")
        for number, page in enumerate(pages):
            place = number % 2 * (page.width + 8) + 4, number // 2 * (page.height + 8) + 4
            sheet.paste(page, place)
        keep(Image.open(made / "report.png"), "report.png", 800)
        keep(Image.open(made / "report-phone.png"), "report-phone.png", 390)
        keep(Image.open(made / "report-dark.png"), "report-dark.png", 800)
        keep(sheet, "report-print.png", 780)


if __name__ == "__main__":
    main()
