"""Writing events while the disk is full, fails and recovers."""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmnist_tui.protocol.events import EVENTS, Alert, Event, Glance, Progress, Telemetry
from fmnist_tui.runs import log as logs
from fmnist_tui.runs.jsonl_reader import EventReader
from fmnist_tui.runs.log import EventLog
from tests.unit.support import (
    PROPERTY,
    ended,
    epoch_ended,
    note,
    progress,
    read_line,
    send_line,
    start_python,
    started,
    telemetry,
    write_events,
)

Write = Callable[[int, bytes], int]


def read(path: Path) -> list[Event]:
    tail = EventReader(path)
    events = tail.read()
    assert tail.invalid_lines == 0
    return events


def failing(code: int) -> Write:
    def write(_: int, __: bytes) -> int:
        raise OSError(code, os.strerror(code))

    return write


def test_every_event_is_one_write_that_a_reader_sees_at_once(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log, tail = EventLog(path), EventReader(path)
    with mock.patch.object(os, "write", side_effect=os.write) as write:
        for event in (started(), progress(1), ended()):
            log.append(event)
            assert tail.read() == [event]
    assert write.call_count == 3
    log.close()
    assert log.dropped == 0 and log.error == ""


def test_an_incomplete_last_line_is_cut_off_before_appending(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    write_events(path, [note("one")])
    with path.open("ab") as file:
        file.write(b"\x00" * 300_000)
    log = EventLog(path)
    log.append(note("two"))
    log.close()
    assert read(path) == [note("one"), note("two")]


def test_a_file_with_only_an_incomplete_line_is_emptied(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"is":"RunSta')
    EventLog(path).close()
    assert path.read_bytes() == b""


def test_events_after_close_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log = EventLog(path)
    log.append(ended())
    log.close()
    log.append(telemetry())
    log.close()
    assert read(path) == [ended()]


def test_an_outage_is_reported_at_its_beginning_and_at_its_end(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    alerts: list[Alert] = []
    log = EventLog(path, alerts.append)
    log.append(started())
    with mock.patch.object(os, "write", failing(errno.ENOSPC)):
        for event in (progress(1), epoch_ended(1), telemetry(), note("one"), progress(2)):
            log.append(event)
        assert alerts[0].message == f"{log.error}; the run continues"
    assert [alert.level for alert in alerts] == ["warning"]
    assert "No space left on device" in log.error and str(path) in log.error
    log.append(progress(3))
    assert log.error == ""
    assert alerts[1].message == "the run's record is written again; 3 events missing from it"
    assert read(path) == [started(), epoch_ended(1), note("one"), progress(3), alerts[1]]
    assert log.dropped == 3
    with mock.patch.object(os, "write", failing(errno.EIO)):
        log.append(note("two"))
        log.append(note("three"))
    assert len(alerts) == 3 and "Input/output error" in alerts[2].message
    assert log.close() == ""
    assert alerts[3].message == "the run's record is written again"
    assert read(path)[-3:] == [note("two"), note("three"), alerts[3]]


def test_the_callback_for_alerts_may_append_an_event(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log: EventLog

    def append(alert: Alert) -> None:
        log.append(alert)

    log = EventLog(path, append)
    with mock.patch.object(os, "write", failing(errno.ENOSPC)):
        log.append(started())
    log.close()
    first, second, _ = read(path)
    assert first == started() and "cannot write" in second.message  # type: ignore[union-attr]


def test_a_file_that_cannot_be_opened_is_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "events.jsonl"
    alerts: list[Alert] = []
    log = EventLog(path, alerts.append)
    log.append(started())
    log.append(progress(1))
    assert len(alerts) == 1 and "No such file or directory" in alerts[0].message
    path.parent.mkdir()
    log.append(progress(2))
    log.close()
    assert read(path) == [started(), progress(2), alerts[1]]


def test_closing_says_what_is_missing_from_the_record(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "missing" / "events.jsonl")
    log.append(started())
    log.append(ended())
    loss = log.close()
    assert loss.startswith("the end of the run's record is lost (2 events): cannot write")
    assert log.dropped == 2
    assert log.close() == ""


def test_closing_says_that_the_record_was_deleted(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log = EventLog(path)
    log.append(started())
    path.unlink()
    log.append(ended())
    assert log.close() == f"the run's record is lost: {path} was deleted"


def test_a_link_is_never_followed(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"another file, without a newline")
    path = tmp_path / "events.jsonl"
    path.symlink_to(other)
    errors: list[Alert] = []
    log = EventLog(path, errors.append)
    log.append(started())
    log.close()
    assert other.read_bytes() == b"another file, without a newline"
    assert len(errors) == 1


def test_the_backlog_is_bounded_and_keeps_the_start_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "BACKLOG_LIMIT", 10_000)
    path = tmp_path / "events.jsonl"
    log = EventLog(path)
    with mock.patch.object(os, "write", failing(errno.ENOSPC)):
        log.append(started())
        for number in range(1000):
            log.append(note(f"{number:04d}"))
    log.close()
    stored = read(path)
    assert stored[0] == started()
    *notes, recovered = stored[1:]
    assert notes == [note(f"{number:04d}") for number in range(1000 - len(notes), 1000)]
    assert 9000 < path.stat().st_size <= 10_200
    assert log.dropped == 1000 - len(notes)
    assert f"{log.dropped:,} events missing" in recovered.message  # type: ignore[union-attr]


EVENT = st.sampled_from(
    [progress(1), progress(2), telemetry(), epoch_ended(1), note("x" * 80), started(), ended()]
)
# The outcome of a write: success, failure, or a number of bytes written.
OUTCOME = st.sampled_from(["fine", "fine", "fails"]) | st.integers(0, 60)


@PROPERTY
@given(
    st.lists(EVENT, min_size=1, max_size=20),
    st.lists(OUTCOME, max_size=20),
    st.lists(st.booleans(), max_size=12),
)
def test_a_disk_failure_anywhere_leaves_complete_lines_and_loses_no_important_event(
    tmp_path_factory: pytest.TempPathFactory,
    events: list[Event],
    outcomes: list[str | int],
    cuts: list[bool],
) -> None:
    path = tmp_path_factory.mktemp("run") / "events.jsonl"
    write, truncate = os.write, os.ftruncate
    outages = 0
    was_well = True

    def faulty_write(descriptor: int, data: bytes) -> int:
        outcome = outcomes.pop(0) if outcomes else "fine"
        if outcome == "fine":
            return write(descriptor, data)
        if outcome == "fails":
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data[: min(int(outcome), len(data) - 1)])

    def faulty_truncate(descriptor: int, length: int) -> None:
        if cuts and not cuts.pop(0):
            raise OSError(errno.EIO, "Input/output error")
        truncate(descriptor, length)

    def count(alert: Alert) -> None:
        nonlocal outages
        outages += alert.level == "warning"

    tail, seen = EventReader(path), list[Event]()
    log = EventLog(path, count)
    with (
        mock.patch.object(os, "write", faulty_write),
        mock.patch.object(os, "ftruncate", faulty_truncate),
    ):
        expected_outages = 0
        for event in events:
            log.append(event)
            # Only the last line may be incomplete.
            complete, _, _ = path.read_bytes().rpartition(b"\n")
            for line in complete.splitlines():
                json.loads(line)
            seen += tail.read()
            expected_outages += was_well and bool(log.error)
            was_well = not log.error
    log.append(ended("stopped"))
    log.close()
    assert outages == expected_outages
    assert path.read_bytes().endswith(b"\n")

    everything = read(path)
    stored = [event for event in everything if not is_recovery(event)]
    lasting = [event for event in events if not isinstance(event, Progress | Telemetry | Glance)]
    assert [e for e in stored if not isinstance(e, Progress | Telemetry | Glance)] == [
        *lasting,
        ended("stopped"),
    ]
    assert len(stored) + log.dropped == len(events) + 1
    assert seen + tail.read() == everything and tail.invalid_lines == 0


def is_recovery(event: Event) -> bool:
    return isinstance(event, Alert) and "written again" in event.message


def test_many_threads_write_complete_lines(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log = EventLog(path)

    def write(name: str) -> None:
        for number in range(200):
            log.append(note(f"{name} {number}"))

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    messages = [event.message for event in read(path)]  # type: ignore[union-attr]
    for name in "abcd":
        own = [message for message in messages if message.startswith(name)]
        assert own == [f"{name} {number}" for number in range(200)]
    assert len(messages) == 800


FULL = """
import resource, sys
from pathlib import Path
from fmnist_tui.protocol.events import Alert, Progress
from fmnist_tui.runs.log import EventLog

def limit_size(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

path = Path(sys.argv[1])
errors = []
log = EventLog(path, errors.append)
limit_size(1000)
for number in range(100):
    log.append(Alert(float(number), "note", "x" * 20))
print(path.stat().st_size, len(errors), path.read_bytes().endswith(b"\\n"), flush=True)
sys.stdin.readline()
limit_size(resource.RLIM_INFINITY)
log.append(Alert(100.0, "note", ""))
log.close()
print(log.dropped, flush=True)
"""


def test_a_file_at_its_size_limit_holds_complete_lines(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with start_python(FULL, path) as process:
        size, count, is_complete = read_line(process).split()
        assert 900 < int(size) <= 1000
        assert (count, is_complete) == ("1", "True")
        send_line(process, "continue")
        assert read_line(process) == "0"
    events = [event for event in read(path) if not is_recovery(event)]
    assert [event.t for event in events] == [float(number) for number in range(101)]


def test_a_programming_error_is_not_mistaken_for_a_full_disk(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    with pytest.raises(TypeError):
        log.append(note(5))  # type: ignore[arg-type]
    log.append(note("five"))
    log.close()
    assert read(tmp_path / "events.jsonl") == [note("five")]


def test_closing_syncs_the_file(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    log.append(EVENTS.decode(EVENTS.encode(ended())))
    with mock.patch.object(os, "fsync", side_effect=os.fsync) as sync:
        log.close()
    assert sync.call_count == 1
