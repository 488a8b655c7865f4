"""Training one of several runs in a command: to its end, or an error that says why not."""

from __future__ import annotations

from fmnist_tui.cli.support.follow import follow
from fmnist_tui.cli.support.progress import ProgressPart
from fmnist_tui.cli.support.training_view import choose_view
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.engine.session.session import Session
from fmnist_tui.protocol.events import FINISHED
from fmnist_tui.protocol.run_state import RunState
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.util.errors import UserError


def trained(session: Session, config: RunConfig, part: ProgressPart) -> tuple[RunState, RunFolder]:
    """A finished run and its folder; raises what kept it from finishing."""
    training = session.train(config)
    state, status = follow(training, choose_view(part))
    if status:
        raise SystemExit(status)
    if training.error is not None:
        raise training.error
    if training.folder is None or state.ended != FINISHED:
        raise UserError(state.message or "the run did not finish")
    return state, training.folder
