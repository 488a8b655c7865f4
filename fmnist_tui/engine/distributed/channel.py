"""What the processes of one command tell each other apart from tensors: which run begins, that one
has failed, that there is no other run.

They do so through torchrun's store of keys, which outlives each of them. The first process
announces a run once its data are loaded; the others wait for that without a limit.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

from torch.distributed import DistError, PrefixStore, Store  # type: ignore[attr-defined]
from torch.distributed.rendezvous import rendezvous

from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.engine.device import TrainingDevice
from fmnist_tui.engine.distributed.place import Place
from fmnist_tui.engine.run.training_handle import Cancelled
from fmnist_tui.runs.handover import has_process
from fmnist_tui.util.errors import UserError, format_error
from fmnist_tui.util.text import safe_text

# How long a process may not answer before the others give up; the variable sets another time.
ANSWER_SECONDS = 600.0
ANSWER_VARIABLE = "FMNIST_TUI_ANSWER_SECONDS"
MOST_SECONDS = 86_400.0
POLL_SECONDS = 0.05
# After the death of a process torch reports a closed connection before its own report arrives.
REPORT_SECONDS = 2.0


class ProcessFailed(UserError):  # noqa: N818
    """Another process of the run has failed, or does not answer."""


class Channel:
    """The connection of this process to the others. Used by the session's thread only."""

    def __init__(self, place: Place, is_ending: Callable[[], bool] = lambda: False) -> None:
        self.place, self._is_ending = place, is_ending
        self.seconds = _read_seconds()
        self._keys: Store | None = None
        self._runs = 0
        # of each process its id, its machine and a number drawn at its start
        self._names: list[str] = []

    # -- the first process ---------------------------------------------------------------

    def announce(self, config: RunConfig, device: TrainingDevice) -> None:
        """Have the others begin to train a run with these settings, on devices of this kind."""
        self._runs += 1
        kind, precision = device.torch_device.type, device.precision
        settings = config.changed(device=kind, precision=precision)
        self._store.set(f"run/{self._runs}", settings.model_dump_json())

    def end(self) -> None:
        """Tell the others that no run follows, if they have been met."""
        # Without the store they know.
        with contextlib.suppress(RuntimeError):
            if self._keys is not None:
                self._keys.set(f"run/{self._runs + 1}", "")

    # -- the others ----------------------------------------------------------------------

    def await_run(self) -> RunConfig | None:
        """The settings of the next run; None if there is none."""
        self._runs += 1
        key = f"run/{self._runs}"
        try:
            self._wait_for(key)
            text = self._store.get(key).decode()
        except RuntimeError:
            if self._runs == 1:
                raise
            # The store has ended, and with it the first process.
            return None
        return RunConfig.build(json.loads(text)) if text else None

    def report_failure(self, why: str) -> None:
        """Leave word of why this process fails; the first word counts."""
        text = f"process {self.place.rank} on {socket.gethostname()}: {why}"
        with contextlib.suppress(RuntimeError):
            self._store.compare_set("failed", "", safe_text(text, 400))

    # -- all -----------------------------------------------------------------------------

    def meet(self) -> None:
        """Wait until all have arrived."""
        if self._keys is None:
            self._keys = self._find_keys()

    @contextlib.contextmanager
    def after_first_here(self) -> Iterator[None]:
        """Let the first process of each machine do this block before the others of it."""
        key = f"data/{self._runs}/{self.place.machine}"
        # The first process of all has done it before it announced the run.
        if self.place.local_rank and self.place.machine:
            self._wait_for(key)
        yield
        self._store.set(key, "")

    def run_store(self) -> Store:
        """A store of the current run's own, for torch."""
        return PrefixStore(f"torch/{self._runs}", self._store)

    def explain(self, error: BaseException) -> ProcessFailed | None:
        """What has happened to which process, if this error is of talking to the others."""
        if not isinstance(error, RuntimeError):
            return None
        is_of_torch = isinstance(error, DistError) or any(
            sign in str(error) for sign in ("gloo", "NCCL", "Connection closed", "Broken pipe")
        )
        if not is_of_torch:
            return None
        deadline = time.monotonic() + REPORT_SECONDS
        while time.monotonic() < deadline:
            if why := self._reported() or self._find_dead():
                return ProcessFailed(why)
            time.sleep(POLL_SECONDS)
        if "imed out" in str(error):
            why = f"another process has not answered for {self.seconds:.0f} s"
            return ProcessFailed(f"{why}: it hangs, or its machine is gone")
        reason = safe_text(str(error).strip().splitlines()[0], 160)
        return ProcessFailed(f"another process of the run has failed ({reason})")

    def _reported(self) -> str:
        with contextlib.suppress(RuntimeError):
            if self._store.check(["failed"]):
                return self._store.get("failed").decode()
        return ""

    def _find_dead(self) -> str:
        """Which process of this machine has ended without a word, if any."""
        with contextlib.suppress(RuntimeError):
            for rank, name in enumerate(self._names):
                process, host, _ = name.split(" ")
                if host == socket.gethostname() and not has_process(int(process)):
                    return f"process {rank} (pid {process}) was killed"
        return ""

    def _wait_for(self, key: str) -> None:
        """Wait without a limit; `Cancelled` if this process is to end."""
        while not self._store.check([key]):
            self._pause()

    def _pause(self) -> None:
        if self._is_ending():
            raise Cancelled("the program is closing")
        time.sleep(POLL_SECONDS)

    @property
    def _store(self) -> Store:
        """The keys of these processes, once all of them have arrived."""
        self.meet()
        assert self._keys is not None
        return self._keys

    def _find_keys(self) -> Store:
        try:
            store, _, _ = next(rendezvous("env://", timeout=timedelta(seconds=ANSWER_SECONDS)))
            return PrefixStore(self._name_round(store), store)
        except (RuntimeError, ValueError) as error:
            where = f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"
            why = f"cannot reach torchrun at {where}: {format_error(error)}"
            raise UserError(why) from error

    def _name_round(self, store: Store) -> str:
        """Wait until all have arrived; returns the name of this round of processes.

        torchrun keeps the keys of the processes that it has started before. So each names itself
        anew, and the first process names the round together with all these names."""
        rank, ranks = self.place.rank, range(self.place.count)
        name = f"{os.getpid()} {socket.gethostname()} {secrets.token_hex(4)}"
        store.set(f"fmnist-tui/name/{rank}", name)
        keys = [f"fmnist-tui/name/{each}" for each in ranks]
        deadline = time.monotonic() + ANSWER_SECONDS
        while time.monotonic() < deadline:
            if self.place.is_first and store.check(keys):
                names = [store.get(key).decode() for key in keys]
                if names != self._names:
                    self._names = names
                    named = [f"fmnist-tui/{secrets.token_hex(8)}", names]
                    store.set("fmnist-tui/round", json.dumps(named))
            if store.check(["fmnist-tui/round"]):
                current, self._names = json.loads(store.get("fmnist-tui/round"))
                if name in self._names:
                    store.set(f"{current}/here/{rank}", "")
                    if store.check([f"{current}/here/{each}" for each in ranks]):
                        return str(current)
            self._pause()
        raise UserError(
            f"not all {self.place.count} processes have arrived after {ANSWER_SECONDS:.0f} s"
        )


def _read_seconds() -> float:
    text = os.environ.get(ANSWER_VARIABLE) or str(ANSWER_SECONDS)
    with contextlib.suppress(ValueError):
        if 0 < float(text) <= MOST_SECONDS:
            return float(text)
    raise UserError(f"{ANSWER_VARIABLE}={safe_text(text, 40)!r}: must be a number of seconds")
