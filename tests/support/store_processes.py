"""Screeners in processes of their own, which tests kill."""

import multiprocessing
import os
import resource
import time

from lotwise.store import FoundTile, Store, TileResult, fingerprint_of
from lotwise.store.backup import restore_backup
from lotwise.store.export import export_results
from tests.support.stores import STATED, outcome, sha

# Forks of a process that has imported everything: they start in milliseconds.
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload([__name__])


def start(target, *arguments):
    process = _CONTEXT.Process(target=target, args=arguments, daemon=True)
    process.start()
    return process


def many(number):
    for index in range(number):
        yield FoundTile(
            sha256=sha(index),
            tile_id=f"{index}.png",
            path=f"{index}.png",
            bytes=1,
            row=index // 50,
            column=index % 50,
        )


def pipe():
    return _CONTEXT.Pipe(duplex=False)


def barrier(processes):
    return _CONTEXT.Barrier(processes)


def screen(address, worker, tiles, log, limit, lease_s, together=None):
    """What a screener does: finds, claims, records, finishes. Says what it was told to be done."""
    said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    with Store.open(address, create=True) as store:
        lot = store.register_lot("R01", "/lots/R01", um_per_px=1.0)
        store.add_tiles(lot, many(tiles))
        screening = store.begin_screening(lot, fingerprint_of(STATED), STATED)
        if together is not None:
            together.wait(60)
        while store.progress(screening).pending:
            claimed = store.claim(screening, worker, limit, lease_s)
            for tile in claimed:
                os.write(said, f"claimed {worker} {tile.id}\n".encode())
            answers = [
                TileResult(tile=tile.id, decision="accept", looks_like=worker) for tile in claimed
            ]
            store.record(screening, worker, answers)
            for tile in claimed:
                os.write(said, f"recorded {worker} {tile.id}\n".encode())
            if not claimed:
                time.sleep(0.02)
        store.finish(screening, outcome(store, screening), notify={"lims": {"lot": "R01"}})
    os.close(said)


def restore(archive, address):
    with Store.open(address) as store:
        restore_backup(archive, store)


def open_new(address, connection):
    with Store.open(address, create=True) as store:
        connection.send(store.register_lot("R01", "/lots/R01").id)


def peak_of(how, address, path):
    """Bytes by which the process grew while it read all results of the first screening."""
    receiving, sending = pipe()
    process = start(_peak, how, address, path, sending)
    sending.close()
    try:
        return receiving.recv()
    finally:
        process.join()


def _peak(how, address, path, connection):
    with Store.open(address) as store:
        screening = store.screenings()[0].key
        next(iter(store.results(screening)))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        if how == "stream":
            rows = sum(1 for _ in store.results(screening))
        elif how == "list":
            rows = len(list(store.results(screening)))
        else:
            rows = export_results(store, path, format_=how)
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    connection.send((rows, 1024 * (after - before)))
