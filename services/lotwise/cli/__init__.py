"""The command line: the platform, whole lots, and a verb for each question about a tile.

A distribution adds verbs of its own under the entry point group `lotwise.commands`.
"""

import typer

from lotwise.cli import (
    ask,
    calibrate,
    cluster,
    explain,
    explain_edit,
    explain_lot,
    files,
    interval,
    lot_report,
    lots,
    platform,
    rescreen,
    store,
)
from lotwise.cli.plugins import Commands

app = typer.Typer(
    cls=Commands,
    help="Judge materials lots from SEM tiles.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(platform.up)
app.command()(platform.doctor)
app.command()(lots.screen)
app.command()(rescreen.rescreen)
app.command()(ask.predict)
app.command()(ask.uncertainty)
app.command()(ask.refer)
app.command()(interval.interval)
explain.app.command()(explain_edit.edit)
explain.app.command()(explain_edit.pair)
explain.app.command()(explain_lot.forward_lot)
explain.app.command()(explain_lot.backward_lot)
app.add_typer(explain.app, name="explain")
app.add_typer(store.app, name="store")
app.add_typer(cluster.app, name="cluster")
app.command()(lot_report.report)
app.command()(lot_report.compare)
app.command()(files.inspect)
app.command()(calibrate.calibrate)


def main() -> None:
    """Entry point of the `lotwise` command."""
    app()
