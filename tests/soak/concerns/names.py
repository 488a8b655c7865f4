"""Hostile names of files, folders, classes, runs, recipes and studies: what the terminal gets of
them controls nothing, is no markup and has its width; CSV and JSON have the true names."""

from __future__ import annotations

import asyncio
import io
import shutil
from contextlib import redirect_stderr, redirect_stdout

from tests.soak.concern import Concern, Tally
from tests.soak.names import commands, dashboard, raw_terminal, world
from tests.soak.names.hostile import hostile_names

# Names that stand in one set of files.
BATCH = 50


def run(tally: Tally, tries: int) -> None:
    names = hostile_names(tries)
    for start in range(0, tries, BATCH):
        batch = names[start : start + BATCH]
        tally.tried += len(batch)
        folder = tally.folder / f"{start}"
        try:
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                hostile = world.build(folder, batch)
            commands.run_all(hostile, tally.lose)
            size = dashboard.SIZES[start // BATCH % len(dashboard.SIZES)]
            asyncio.run(dashboard.visit(hostile, tally.lose, size))
            if start == BATCH:  # not in the short form, which need not start the program
                raw_terminal.visit(hostile, tally.lose)
        except Exception as error:  # noqa: BLE001 - what comes after it is not tried
            tally.lose(f"names {start} to {start + len(batch) - 1}", repr(error))
        shutil.rmtree(folder, ignore_errors=True)


CONCERN = Concern("names and labels", run, short=4, full=500)
