"""A training for tests of Train."""

from __future__ import annotations

from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.engine.run.training_handle import Training
from fmnist_tui.protocol.commands import Command
from fmnist_tui.protocol.lr_curve import RateRange
from tests.tui.scripted import CONFIG


class FakeTraining(Training):
    """A run whose events a test appends; it records the commands that it gets."""

    def __init__(self, config: RunConfig = CONFIG, rates: RateRange | None = None) -> None:
        super().__init__(config, rate_range=rates)
        self.commands: list[Command] = []

    def send(self, command: Command) -> None:
        self.commands.append(command)
