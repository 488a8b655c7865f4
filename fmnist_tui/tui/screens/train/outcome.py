"""What a run that has ended or is being prepared says of itself, and which keys go on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fmnist_tui.data.load_progress import LoadStep
from fmnist_tui.engine.run import failures
from fmnist_tui.protocol.checkpoint_record import BEST, LAST
from fmnist_tui.protocol.events import DETACHED, FAILED, FINISHED, LRFIND, TRAIN
from fmnist_tui.protocol.run_state import RunState
from fmnist_tui.protocol.validation import find_validation
from fmnist_tui.tui.key_names import key_name
from fmnist_tui.tui.state.run_feed import RunFeed
from fmnist_tui.tui.widgets.run_status import status_mark
from fmnist_tui.util.formatting import format_count, format_duration, format_percent_margin
from fmnist_tui.util.text import safe_text


@dataclass(frozen=True, slots=True)
class Outcome:
    """A headline with a sign and a colour of the theme, lines of text, and keys with what they
    do."""

    sign: str
    colour: str
    headline: str
    lines: tuple[str, ...] = ()
    keys: tuple[tuple[str, str], ...] = ()


def describe_outcome(feed: RunFeed) -> Outcome:
    """How a run has ended, what it has reached, and what can be done next."""
    state, status = feed.state, feed.status
    sign, colour = status_mark(status)
    return Outcome(
        sign,
        colour.removeprefix("$"),
        _headline(feed),
        (*_reasons(feed), *_results(state)),
        tuple(_next_keys(feed)) if state.started is not None else (_start_key("tries again"),),
    )


def _headline(feed: RunFeed) -> str:
    """`finished in 2:41 warm, 2:50 in all`, `stopped after 0:24`."""
    state, status = feed.state, feed.status
    if state.started is None or status == "not started":
        return "not started"
    seconds = format_duration(state.seconds)
    if state.warm_seconds:
        seconds = f"{format_duration(state.warm_seconds)} warm, {seconds} in all"
    return f"{status} {'in' if status == FINISHED else 'after'} {seconds}"


def _reasons(feed: RunFeed) -> Iterator[str]:
    """Why it has ended, where the status does not say it all."""
    state, started = feed.state, feed.state.started
    if started is not None and feed.status != FINISHED and started.total_steps:
        yield f"at step {state.step:,} of {started.total_steps:,}"
    if feed.error:
        yield safe_text(feed.error, 300)
    elif feed.status == "crashed":
        yield "its process ended without saying why"
    if state.end is not None and state.message and feed.has_started:
        yield safe_text(state.message, 300)
    elif feed.status == DETACHED:
        yield "it was handed to a process of its own, which does not run"


def _results(state: RunState) -> Iterator[str]:
    """Accuracies with their number of images, and of the test with its margin."""
    if (val := find_validation(state)) is not None:
        epoch = f" (epoch {val.epoch})" if val.epoch else ""
        yield f"val {val.format()} of {val.count:,}{epoch}"
    if (test := state.evaluation("test")) is not None:
        margin = format_percent_margin(test.accuracy, test.accuracy_low, test.accuracy_high)
        yield f"test {margin} of {test.count:,}"
    if speed := state.mean_images_per_second:
        yield f"{speed:,.0f} images/s"


def _next_keys(feed: RunFeed) -> Iterator[tuple[str, str]]:
    state = feed.state
    if feed.kind == LRFIND:
        yield _start_key("trains")
        return
    if feed.status == FINISHED:
        yield "3", "evaluate"
        yield "4", "errors"
        yield _start_key("next run")
        return
    checkpoint = state.record.newest(LAST) or state.record.newest(BEST)
    if feed.kind == TRAIN and checkpoint is not None:
        about = f"resumes from step {checkpoint.step:,}"
        if feed.config is not None and failures.find_gpu_failure(feed.config.device):
            about = "goes on in a new process"
        yield key_name("train.resume"), about
        yield _start_key("resume or new run")
    else:
        yield _start_key("new run")
    if state.evaluation("val") is not None:
        yield "3", "evaluate"
    if feed.status == FAILED:
        yield key_name("train.new"), "its settings"


def _start_key(about: str) -> tuple[str, str]:
    return key_name("train.go"), about


def describe_status(feed: RunFeed) -> str:
    """What a run in progress is doing, and what it waits for."""
    if feed.status == "paused":
        return f"paused: {key_name('train.go')} goes on"
    if feed.status == "stopping":
        return "stopping: what is done is saved first"
    return feed.status


def describe_preparation(feed: RunFeed) -> str:
    """What a run does before its first step."""
    step = feed.load_steps[-1] if feed.load_steps else None
    if step is not None:
        doing = _describe_load(step)
    elif feed.is_own:
        doing = "starting the engine"
    elif feed.folder is None and feed.config is not None:
        doing = f"starting {format_count(feed.config.devices, 'process', 'processes')}"
    else:
        doing = f"in {feed.holder}" if feed.holder is not None else "in another process"
    before = feed.state.started
    if before is None or not feed.state.step:
        return f"preparing: {doing}"
    return f"resuming at step {feed.state.step:,} of {before.total_steps:,}: {doing}"


def _describe_load(step: LoadStep) -> str:
    """`fashion, Debian package: 12 of 30 MB`."""
    where = ", ".join(filter(None, (step.dataset, step.source)))
    if step.state == "ok":
        return safe_text(f"{where} loaded; building the model", 200)
    if step.state == "failed":
        return safe_text(f"{where} failed: {step.message}", 200)
    scale, unit = step.display_scale
    if step.state == "progress" and step.done:
        of = f" of {step.total / scale:,.0f}" if step.total else ""
        return safe_text(f"{where}: {step.message} {step.done / scale:,.0f}{of} {unit}", 200)
    return safe_text(f"{where}: {step.message or 'trying'}", 200)
