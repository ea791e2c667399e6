"""The report as PDF, printed by Chromium."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from lotwise.core.errors import Contradiction

BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
LIMIT_S: Final = 180.0
"""For a page of sixty pictures it takes seconds."""
_SHOWN: Final = 300


def pdf_bytes(html: str) -> bytes:
    """A page of this package as PDF. Nothing outside of the page is read.

    Args:
        html: The whole page.

    Raises:
        Contradiction: PDF_UNAVAILABLE: there is no Chromium, or it cannot print.
    """
    browser = find_browser()
    with tempfile.TemporaryDirectory(prefix="lotwise-pdf-") as folder:
        page, written = Path(folder, "page.html"), Path(folder, "page.pdf")
        page.write_text(html, encoding="utf-8")
        command = [
            browser,
            "--headless",
            "--disable-gpu",
            "--disable-extensions",
            "--no-first-run",
            # The page forbids it, too; nobody is asked where a picture might come from.
            "--host-resolver-rules=MAP * ~NOTFOUND",
            "--no-pdf-header-footer",
            f"--user-data-dir={folder}/profile",
            f"--print-to-pdf={written}",
            # Its sandbox needs another user than root.
            *(["--no-sandbox"] if os.geteuid() == 0 else []),
            page.as_uri(),
        ]
        try:
            done = subprocess.run(command, capture_output=True, timeout=LIMIT_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise _unavailable(f"{browser} cannot print: {error}") from None
        if not written.exists():
            said = done.stderr.decode(errors="replace").strip()[-_SHOWN:]
            raise _unavailable(f"{browser} printed nothing ({said})")
        return written.read_bytes()


def find_browser() -> str:
    """Chromium's program.

    Raises:
        Contradiction: PDF_UNAVAILABLE.
    """
    for name in BROWSERS:
        found = shutil.which(name)
        if found is not None:
            return found
    raise _unavailable("PDF needs Chromium")


def _unavailable(why: str) -> Contradiction:
    return Contradiction(
        "PDF_UNAVAILABLE",
        f"{why}. On Debian `apt-get install chromium` brings it; or take the HTML, which any "
        "browser prints.",
    )
