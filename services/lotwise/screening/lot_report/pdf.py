"""The report as PDF, by WeasyPrint."""

from __future__ import annotations

from typing import Any

from lotwise.core.errors import Contradiction


def pdf_bytes(html: str) -> bytes:
    """A page of this package as PDF. Nothing outside of the page is read.

    Args:
        html: The whole page.

    Raises:
        Contradiction: PDF_UNAVAILABLE: WeasyPrint or its libraries are missing.
    """
    weasyprint = load()
    from weasyprint.urls import URLFetcher

    fetcher = URLFetcher(allowed_protocols=["data"])
    written: bytes = weasyprint.HTML(string=html, url_fetcher=fetcher).write_pdf()
    return written


def load() -> Any:
    """WeasyPrint, once it is known to work.

    Raises:
        Contradiction: PDF_UNAVAILABLE.
    """
    try:
        import weasyprint
    except ImportError as missing:
        raise Contradiction(
            "PDF_UNAVAILABLE",
            f"PDF needs more packages ({missing}). Run `pip install 'lotwise[report]'`, or take "
            "the HTML, which a browser prints.",
        ) from None
    except OSError as missing:  # a library that it loads itself
        raise Contradiction(
            "PDF_UNAVAILABLE",
            f"PDF needs the library Pango ({str(missing).splitlines()[0][:200]}). On Debian run "
            "`scripts/install-system` or `apt-get install libpango-1.0-0 libpangoft2-1.0-0 "
            "libharfbuzz-subset0`, or take the HTML, which a browser prints.",
        ) from None
    return weasyprint
