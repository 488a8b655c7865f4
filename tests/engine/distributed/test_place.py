"""Where a process stands among several, and its share of what they do."""

from __future__ import annotations

import pytest

from fmnist_tui.engine.distributed.place import ALONE, Place, check_batch_size, share_of
from fmnist_tui.util.errors import UserError

TORCHRUN = {
    "RANK": "5",
    "WORLD_SIZE": "8",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "4",
    "GROUP_RANK": "1",
    "TORCHELASTIC_RUN_ID": "nightly",
    "TORCHELASTIC_RESTART_COUNT": "1",
}


def test_torchrun_says_where_a_process_stands() -> None:
    place = Place.from_environment({**TORCHRUN, "SLURM_RESTART_COUNT": "2"})
    assert place == Place(5, 8, 1, 4, 1, "nightly", 3)
    assert place.is_several and not place.is_first


def test_without_torchrun_a_process_is_alone_whatever_a_cluster_sets() -> None:
    others = {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "elsewhere"}
    assert Place.from_environment(others) == ALONE
    assert ALONE.is_first and not ALONE.is_several


def test_a_job_without_a_name_is_known_by_the_process_that_started_it() -> None:
    unnamed = Place.from_environment({**TORCHRUN, "TORCHELASTIC_RUN_ID": "none"})
    assert unnamed.job == Place.from_environment({**TORCHRUN, "TORCHELASTIC_RUN_ID": "none"}).job
    assert unnamed.job not in ("", "none")


def test_what_is_no_number_is_named() -> None:
    with pytest.raises(UserError, match="RANK='first'"):
        Place.from_environment({**TORCHRUN, "RANK": "first"})


@pytest.mark.parametrize(("count", "processes"), [(64, 4), (10, 4), (3, 4), (0, 2), (7, 1)])
def test_shares_are_consecutive_and_differ_by_one_at_most(count: int, processes: int) -> None:
    places = [Place(rank, processes) for rank in range(processes)]
    shares = [range(count)[share_of(count, place)] for place in places]
    assert [index for share in shares for index in share] == [*range(count)]
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize(
    ("batch_size", "processes", "nearest"), [(250, 4, 248), (255, 4, 256), (3, 4, 4), (1, 3, 3)]
)
def test_batches_that_cannot_be_shared_are_refused_with_the_nearest_that_can(
    batch_size: int, processes: int, nearest: int
) -> None:
    check_batch_size(nearest, processes)
    with pytest.raises(UserError, match=f"set batch_size = {nearest}$"):
        check_batch_size(batch_size, processes)
