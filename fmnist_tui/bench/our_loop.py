"""The same training by this program, with session, run folder and events.

Run as `python -m fmnist_tui.bench.our_loop DATA DATASET PRECISION MODEL BATCH IMAGES EPOCHS`;
prints images per second of each epoch, the precision used and the process's peak memory.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
from pathlib import Path
from typing import Any

from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.engine.session.session import Session
from fmnist_tui.protocol.events import EpochEnded, RunStarted


def main(
    data: str, dataset: str, precision: str, name: str, batch: int, images: int, epochs: int
) -> dict[str, Any]:
    config = RunConfig.build(
        {
            "recipe": "bench",
            "dataset": dataset,
            "precision": precision,
            "model": name,
            "batch_size": batch,
            "limit": images,
            "epochs": epochs,
            "optimizer": "adam",
            "lr": 1e-3,
        }
    )
    with tempfile.TemporaryDirectory(prefix="fmnist-tui-bench-") as runs:
        with Session(Path(runs), Path(data)) as session:
            training = session.train(config)
            training.wait()
        if training.error is not None:
            raise training.error
    speeds = [event.images_per_second for event in training.events if isinstance(event, EpochEnded)]
    used_precision = next(
        event.precision for event in training.events if isinstance(event, RunStarted)
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # In KiB on Linux, in bytes on macOS
    return {
        "images_per_second": speeds,
        "precision": used_precision,
        "memory_mb": peak / (1 << 20 if sys.platform == "darwin" else 1 << 10),
    }


if __name__ == "__main__":
    data, dataset, precision, name, *numbers = sys.argv[1:]
    batch, images, epochs = map(int, numbers)
    print(json.dumps(main(data, dataset, precision, name, batch, images, epochs)))
