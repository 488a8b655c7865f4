"""Processes that stand to each other as those of torchrun do, forked with all imports done."""

from __future__ import annotations

from torch.distributed import TCPStore  # type: ignore[attr-defined]

from tests.e2e.fork_server import ForkedProcess
from tests.e2e.support import FORK_SERVER, LIMIT, Home


class ProcessTeam:
    """`count` processes of one command; as torchrun does, this object holds the store of
    keys, as long as it exists."""

    def __init__(self, home: Home, count: int, job: str = "job", restarts: int = 0) -> None:
        self._home, self._count = home, count
        self._store = TCPStore("localhost", 0, is_master=True, wait_for_workers=False)
        self._job = {"TORCHELASTIC_RUN_ID": job, "TORCHELASTIC_RESTART_COUNT": str(restarts)}

    def start(self, *arguments: str, code: str | None = None) -> list[ForkedProcess]:
        """Start the program in all of them; in the last one run `code` before."""
        return [
            FORK_SERVER.start(
                arguments,
                {
                    **self._home.environment,
                    **self._job,
                    "RANK": str(rank),
                    "WORLD_SIZE": str(self._count),
                    "LOCAL_RANK": str(rank),
                    "LOCAL_WORLD_SIZE": str(self._count),
                    "MASTER_ADDR": "localhost",
                    "MASTER_PORT": str(self._store.port),
                    "TORCHELASTIC_USE_AGENT_STORE": "True",
                },
                code if rank == self._count - 1 else None,
            )
            for rank in range(self._count)
        ]

    def run(self, *arguments: str) -> list[tuple[int, str, str]]:
        """Run the program in all of them to its end; the exit status, output and errors of each."""
        return [end(process) for process in self.start(*arguments)]


def end(process: ForkedProcess) -> tuple[int, str, str]:
    """Wait for the end of a process: its exit status, output and errors."""
    out, err = process.communicate(timeout=LIMIT)
    assert process.returncode is not None
    return process.returncode, out, err
