"""The trainings of a process that is not the first of several.

It does as the first one does, and writes nothing."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.data.load import load_dataset_for
from fmnist_tui.engine.distributed.channel import Channel
from fmnist_tui.engine.distributed.own_device import choose_own_device
from fmnist_tui.engine.distributed.parts import own_part, share_state
from fmnist_tui.engine.distributed.processes import joined
from fmnist_tui.engine.inference.classifier import ModelInfo, OnTick
from fmnist_tui.engine.run import failures
from fmnist_tui.engine.run.training_handle import Cancelled, Training
from fmnist_tui.engine.training.learner import Learner
from fmnist_tui.engine.training.trainer import Trainer
from fmnist_tui.util.errors import format_error


def take_part(training: Training, data_dir: Path, on_tick: OnTick, channel: Channel) -> None:
    """Take part in each run that the first process announces, until it says that none follows."""
    try:
        while (config := channel.await_run()) is not None:
            _train(training, config, data_dir, on_tick, channel)
    except Cancelled:
        pass
    except BaseException as error:
        # What only follows from the end of another process is no news.
        if channel.explain(error) is None:
            channel.report_failure(format_error(failures.explain(error) or error))
        raise


def _train(
    training: Training, config: RunConfig, data_dir: Path, on_tick: OnTick, channel: Channel
) -> None:
    with channel.after_first_here():
        dataset = load_dataset_for(config, data_dir, cancel=training.cancel_loading)
    device = choose_own_device(config, channel.place)

    def tick() -> None:
        on_tick()
        device.apply_to_thread()

    with (
        device.training_numerics(_forget),
        joined(channel, device.torch_device) as processes,
        closing(
            Learner(ModelInfo.from_dataset(config, dataset), dataset, device, processes)
        ) as learner,
    ):
        share_state(learner)
        Trainer(
            learner,
            own_part(learner, dataset.val),
            None,
            _forget,
            training.inbox,
            tick,
        ).run()
        processes.leave()


def _forget(_: object) -> None:
    """The first process reports what happens."""
