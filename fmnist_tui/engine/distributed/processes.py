"""The processes that train one run together, as its training sees them.

All of them run the same loop over the same batches: each takes its share of every batch, and
everything that depends on a clock, a command or the disk is decided by the first process and told
to the others at meetings, before steps that are about 50 ms apart. `Processes` itself is the only
process of a run: it shares nothing and waits for nobody.
"""

from __future__ import annotations

import contextlib
import io
import json
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from fmnist_tui.engine.distributed.batch_norm import share_batch_statistics
from fmnist_tui.engine.distributed.channel import Channel, ProcessFailed
from fmnist_tui.engine.distributed.place import ALONE, Place, share_of
from fmnist_tui.protocol.commands import COMMANDS, Command, Stop

if TYPE_CHECKING:
    from fmnist_tui.engine.checkpoints.checkpoint import Payload

MEETING_SECONDS = 0.05
MOST_STEPS = 1000


class Processes:
    """The only process of a run."""

    place: Place = ALONE

    def wrap(self, model: nn.Module) -> nn.Module:
        """The network whose gradients are those of the whole batch."""
        return model

    def share(self, count: int) -> slice:
        """The part of `count` things, such as the images of a batch, that is this process's."""
        return slice(count)

    def own_randomness(self, seed: int, step: int) -> contextlib.AbstractContextManager[None]:
        """A context for what may be random in the network itself, such as dropout."""
        return contextlib.nullcontext()

    def add_up(self, values: Sequence[float]) -> list[float]:
        """The sums of these values over all processes."""
        return list(values)

    def join_rows(self, rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The rows of all processes, in their order."""
        return rows

    def meets(self, step: int) -> bool:
        """Whether the processes agree before this step on what to do; one does before each."""
        return True

    def agree(self, values: list[Any]) -> list[Any]:
        """The plain values that the first process has here."""
        return values

    def agree_on_commands(self, commands: list[Command]) -> list[Command]:
        """The commands to execute now."""
        return commands

    def share_state(self, get_state: Callable[[], Payload]) -> Payload | None:
        """The state of the first process, for all others."""
        return None

    def explain(self, error: BaseException) -> ProcessFailed | None:
        """Which process has failed, if that is what this error tells of."""
        return None

    def leave(self) -> None:
        """Take part in nothing any more; all do so after the same step."""


ONE_PROCESS = Processes()


class JoinedProcesses(Processes):
    """Several processes, each with a device of its own."""

    def __init__(self, channel: Channel, device: torch.device) -> None:
        """Join the others for the run that has been announced."""
        self.place, self._channel, self._device = channel.place, channel, device
        timeout = timedelta(seconds=channel.seconds)
        dist.init_process_group(
            "nccl" if device.type == "cuda" else "gloo",
            store=channel.run_store(),
            rank=self.place.rank,
            world_size=self.place.count,
            timeout=timeout,
        )
        # Tensors in host memory: what is told here waits for no device.
        talk = dist.new_group(backend="gloo", timeout=timeout)
        assert isinstance(talk, dist.ProcessGroup), "every process is a member"
        self._talk = talk
        self._step = self._next_meeting = 0
        self._steps_between = 1
        # the step of the last meeting, and the time
        self._met_at: tuple[int, float] | None = None

    def wrap(self, model: nn.Module) -> nn.Module:
        share_batch_statistics(model)
        with warnings.catch_warnings():
            # Newer versions of torch have another name for the second option.
            warnings.simplefilter("ignore", FutureWarning)
            return DistributedDataParallel(
                model,
                device_ids=[self._device] if self._device.type == "cuda" else None,
                # Batch statistics are those of all already.
                broadcast_buffers=False,
                gradient_as_bucket_view=True,
            )

    def share(self, count: int) -> slice:
        return share_of(count, self.place)

    @contextlib.contextmanager
    def own_randomness(self, seed: int, step: int) -> Iterator[None]:
        """Another stream for each process and step. The generator that augmentation draws from is
        left as it was, so that it stays the same in all processes."""
        generator = torch.default_generator
        if self._device.type == "cuda":
            generator = torch.cuda.default_generators[self._device.index]
        state = generator.get_state()
        generator.manual_seed(_mix(seed, step, self.place.rank))
        try:
            yield
        finally:
            generator.set_state(state)

    def add_up(self, values: Sequence[float]) -> list[float]:
        sums = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(sums, group=self._talk)
        result: list[float] = sums.tolist()
        return result

    def join_rows(self, rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
        counts = [int(count) for count in self._gather(torch.tensor([len(rows)]))]
        padded = np.zeros((max(counts), *rows.shape[1:]), rows.dtype)
        padded[: len(rows)] = rows
        parts = self._gather(torch.from_numpy(padded))
        whole = [part.numpy()[:count] for part, count in zip(parts, counts, strict=True)]
        joined: npt.NDArray[Any] = np.concatenate(whole)
        return joined

    def share_state(self, get_state: Callable[[], Payload]) -> Payload | None:
        file = io.BytesIO()
        if self.place.is_first:
            torch.save(get_state(), file)
        content = self._broadcast(file.getbuffer())
        if self.place.is_first:
            return None
        payload: Payload = torch.load(io.BytesIO(content), "cpu", weights_only=True)
        return payload

    def meets(self, step: int) -> bool:
        self._step = step
        return step >= self._next_meeting

    def agree(self, values: list[Any]) -> list[Any]:
        text = json.dumps(values).encode() if self.place.is_first else b""
        agreed: list[Any] = json.loads(bytes(self._broadcast(text)))
        return agreed

    def agree_on_commands(self, commands: list[Command]) -> list[Command]:
        """Also sets the step of the next meeting, and tells the first process of a signal that
        only another one has received."""
        self._choose_distance()
        text = "\n".join(map(COMMANDS.encode, commands)).encode() if self.place.is_first else b""
        is_stopped = any(isinstance(command, Stop) for command in commands)
        facts = [len(text), self._steps_between] if self.place.is_first else [0, 0]
        agreed = torch.tensor([*facts, is_stopped])
        dist.all_reduce(agreed, dist.ReduceOp.MAX, self._talk)
        length, self._steps_between, is_stopped = agreed.tolist()
        self._next_meeting = self._step + self._steps_between
        if length:
            text = bytes(self._broadcast(text, length))
        told = [COMMANDS.decode(line) for line in text.decode().splitlines()]
        if is_stopped and not any(isinstance(command, Stop) for command in told):
            told.append(Stop(time.time(), "a signal to another process of the run"))
        return told

    def explain(self, error: BaseException) -> ProcessFailed | None:
        return self._channel.explain(error)

    def leave(self) -> None:
        if dist.is_initialized():
            dist.destroy_process_group()

    def abandon(self) -> None:
        """Leave without the others, after a failure. What waits on a GPU for one that is gone is
        left alone: it ends with the process."""
        if self._device.type == "cpu":
            self.leave()

    def _choose_distance(self) -> None:
        """Choose how many steps there are between two meetings, by how long the last ones took."""
        now = time.monotonic()
        if self._met_at is not None and self._step > self._met_at[0]:
            done, seconds = self._step - self._met_at[0], now - self._met_at[1]
            wanted = int(done * MEETING_SECONDS / max(seconds, 1e-6))
            self._steps_between = max(1, min(wanted, 2 * done, MOST_STEPS))
        self._met_at = self._step, now

    def _gather(self, tensor: Tensor) -> list[Tensor]:
        parts = [torch.empty_like(tensor) for _ in range(self.place.count)]
        dist.all_gather(parts, tensor, self._talk)
        return parts

    def _broadcast(self, content: bytes | memoryview, length: int | None = None) -> memoryview:
        """The first process's bytes; `length` is known to all, or told first."""
        if length is None:
            size = torch.tensor([len(content)])
            dist.broadcast(size, 0, self._talk)
            length = int(size)
        buffer = bytearray(content) if self.place.is_first else bytearray(length)
        if length:
            dist.broadcast(torch.frombuffer(buffer, dtype=torch.uint8), 0, self._talk)
        return memoryview(buffer)


@contextlib.contextmanager
def joined(channel: Channel | None, device: torch.device) -> Iterator[Processes]:
    """The processes of the run that has been announced, for this block: they leave it in order
    after the same step, or have failed."""
    if channel is None:
        yield ONE_PROCESS
        return
    processes = JoinedProcesses(channel, device)
    try:
        yield processes
    finally:
        processes.abandon()


def _mix(seed: int, step: int, rank: int) -> int:
    """A seed that differs for all steps and ranks."""
    return ((seed << 40) + (step << 12) + rank) & (2**63 - 1)
