"""Reports on screened lots from the store, as HTML and PDF: docs/lot-report.md.

`gathering.gather` reads a screening once, `page.lot_page` and `pdf.write_pdf` make the report,
`comparison` compares two screenings. Needs the extra "report"; nothing that serves imports it.
"""
