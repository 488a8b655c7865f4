"""The script for Slurm, with programs that stand in for those of Slurm."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from pathlib import Path

from tests.e2e.support import FORK_SERVER, LIMIT, QUICK, Home, events, wait_for

SCRIPT = Path(__file__).parents[2] / "assets" / "train.sbatch"
LONG = [*QUICK, "--device", "cpu", "--epochs", "100000"]
STEP = """#!/bin/bash
while [[ $1 == --* ]]; do shift; done
exec "$@"
"""
CONTROL = """#!/bin/bash
case $1 in
    show) echo localhost ;;
    requeue) echo "$2" >>"$REQUEUED" ;;
esac
"""


def only_run(folder: Path) -> Path:
    (run,) = (path for path in folder.iterdir() if path.is_dir())
    return run


def test_the_script_for_slurm_saves_its_run_is_queued_again_and_goes_on_with_it(
    home: Home, tmp_path: Path
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    python = f'#!/bin/sh\nexec {shlex.join(FORK_SERVER.torchrun_command(home.environment))} "$@"\n'
    for name, text in (("srun", STEP), ("scontrol", CONTROL), ("python", python)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    job = {
        **home.environment,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "SLURM_JOB_ID": "4711",
        "SLURM_JOB_NODELIST": "node[1-1]",
        "PROCESSES": "2",
        "REQUEUED": str(tmp_path / "requeued"),
        "FORKED_PIDS": str(tmp_path / "pids"),
    }
    runs = home.runs / "4711"

    def start(*words: str, **changes: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["bash", str(SCRIPT), *words],
            env={**job, **changes},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def has_step() -> bool:
        records = list(runs.glob("*/events.jsonl"))
        return any(event["is"] == "Progress" for path in records for event in events(path.parent))

    first = start(*LONG)
    wait_for(lambda: has_step() or first.poll() is not None)
    first.send_signal(signal.SIGTERM)
    out, _ = first.communicate(timeout=LIMIT)
    assert first.returncode == 0, out
    assert (tmp_path / "requeued").read_text() == "4711\n"
    run = only_run(runs)
    (end,) = (event for event in events(run) if event["is"] == "RunEnded")
    assert end["reason"] == "stopped"
    second = start(*LONG, SLURM_RESTART_COUNT="1")
    wait_for(lambda: [e["is"] for e in events(run)].count("RunStarted") == 2 or second.poll())
    home.run("runs", "stop", "last", "--runs", str(runs))
    out, _ = second.communicate(timeout=LIMIT)
    assert second.returncode == 0 and "job 4711 goes on, restart 1" in out, out
    started = [event for event in events(run) if event["is"] == "RunStarted"]
    assert [event["processes"] for event in started] == [2, 2]
    assert started[1]["step"] == end["step"] and only_run(runs) == run
