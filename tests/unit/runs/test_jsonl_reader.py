"""Reading a file of JSON lines while it is written."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmnist_tui.protocol.events import EVENTS, Event, RunEnded
from fmnist_tui.protocol.run_state import RunState
from fmnist_tui.runs import jsonl_reader as tails
from fmnist_tui.runs.jsonl_reader import EventReader, replay
from fmnist_tui.runs.log import EventLog
from fmnist_tui.util.errors import UserError
from tests.unit.support import (
    ANY_EVENTS,
    PROPERTY,
    ended,
    note,
    progress,
    start_python,
    started,
    write_events,
)


def state_of(events: list[Event]) -> RunState:
    state = RunState()
    for event in events:
        state.apply(event)
    return state


def lines(*events: Event) -> bytes:
    return "".join(EVENTS.encode(event) + "\n" for event in events).encode()


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


@PROPERTY
@given(ANY_EVENTS.filter(bool), st.data())
def test_a_truncated_file_gives_the_state_of_its_complete_lines(
    tmp_path_factory: pytest.TempPathFactory, events: list[Event], data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("run") / "events.jsonl"
    log = EventLog(path)
    for event in events:
        log.append(event)
    log.close()
    complete = path.read_bytes()
    last = len(complete) - len(complete.splitlines(keepends=True)[-1])
    path.write_bytes(complete[: data.draw(st.integers(last, len(complete) - 1))])

    tail = EventReader(path)
    received = tail.read()
    assert [EVENTS.encode(event) for event in received] == [EVENTS.encode(e) for e in events[:-1]]
    state = RunState()
    EventReader(path).replay_into(state, batch=2)
    assert state_of(received) == state_of(events[:-1]) == state
    assert tail.invalid_lines == 0

    # A process that resumes the run cuts the incomplete line off; the reader continues.
    log = EventLog(path)
    log.append(events[-1])
    log.close()
    assert path.read_bytes() == complete
    assert state_of(received + tail.read()) == state_of(events) == replay(path)
    assert tail.invalid_lines == 0


def test_an_incomplete_last_line_is_left_until_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    tail = EventReader(path)
    assert tail.read() == []
    line = lines(note("one"))
    for end in range(len(line) - 1):
        path.write_bytes(line[:end])
        assert tail.read() == []
    path.write_bytes(line)
    assert tail.read() == [note("one")]
    assert tail.read() == []
    assert tail.invalid_lines == 0


def test_an_incomplete_line_that_is_replaced_is_read_once_complete(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    tail = EventReader(path)
    path.write_bytes(lines(note("one")) + lines(note("a rather long one, torn"))[:40])
    assert tail.read() == [note("one")]
    path.write_bytes(lines(note("one"), note("two"), note("three")))
    assert tail.read() == [note("two"), note("three")]


def test_invalid_lines_are_counted_and_unknown_kinds_skipped(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(
        b"\x00\x00\xff\n\n{}\n"
        + lines(note("one"))
        + b'{"is":"Rollback","t":1}\n[1]\n'
        + lines(note("two"))
    )
    tail = EventReader(path)
    assert tail.read() == [note("one"), note("two")]
    assert tail.invalid_lines == 4


def test_a_limit_is_kept_and_nothing_is_read_twice(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    events: list[Event] = [progress(step) for step in range(5000)]
    write_events(path, events)
    append(path, b"garbage\n" * 10)
    tail, received = EventReader(path), []
    while batch := tail.read(limit=7):
        assert len(batch) <= 7
        received += batch
    assert received == events
    assert tail.invalid_lines == 10


def test_a_reader_can_start_where_another_stopped(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    write_events(path, [note("one"), note("two")])
    first = EventReader(path)
    first.read(limit=1)
    assert EventReader(path, first.offset).read() == [note("two")]


def test_a_line_longer_than_a_chunk_is_read_and_one_beyond_the_limit_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tails, "CHUNK", 64)
    monkeypatch.setattr(tails, "LINE_LIMIT", 1024)
    path = tmp_path / "events.jsonl"
    long, overlong = note("x" * 700), note("y" * 5000)
    path.write_bytes(lines(note("one"), long, overlong, note("two")))
    tail = EventReader(path)
    assert tail.read() == [note("one"), long, note("two")]
    assert tail.invalid_lines == 1


def test_an_incomplete_line_beyond_the_limit_is_skipped_once_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tails, "CHUNK", 64)
    monkeypatch.setattr(tails, "LINE_LIMIT", 1024)
    path = tmp_path / "events.jsonl"
    path.write_bytes(lines(note("one")) + b"z" * 5000)
    tail = EventReader(path)
    assert tail.read() == [note("one")]
    append(path, b"z" * 5000)
    assert tail.read() == []
    append(path, b"z\n" + lines(note("two")))
    assert tail.read() == [note("two")]
    assert tail.invalid_lines == 1
    # If it is cut off instead, its replacement is read.
    append(path, b"z" * 5000)
    assert tail.read() == []
    path.write_bytes(path.read_bytes()[:-5000] + lines(note("three")))
    assert tail.read() == [note("three")]


def test_after_a_truncation_reading_continues_with_new_lines(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    write_events(path, [note("one"), note("two")])
    tail = EventReader(path)
    tail.read()
    write_events(path, [note("one")])
    assert tail.read() == []
    append(path, lines(note("three")))
    assert tail.read() == [note("three")]


def test_an_unreadable_file_is_reported_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"cannot read {tmp_path}: Is a directory"):
        EventReader(tmp_path).read()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UserError, match="Not a directory"):
        EventReader(tmp_path / "file" / "events.jsonl").read()


def test_a_reader_beside_a_writing_thread_sees_every_event_once_in_order(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    events: list[Event] = [started(), *(progress(step) for step in range(4000)), ended()]

    def write() -> None:
        log = EventLog(path)
        for event in events:
            log.append(event)
        log.close()

    tail, received = EventReader(path), list[Event]()
    writer = threading.Thread(target=write)
    writer.start()
    while not (received and isinstance(received[-1], RunEnded)):
        received += tail.read(limit=100)
    writer.join()
    assert received == events
    assert tail.invalid_lines == 0


WRITER = """
import os, sys
from pathlib import Path
from fmnist_tui.protocol.events import EVENTS, Alert, RunEnded

# In pieces of an odd length, so that most reads end within a line.
data = "".join(EVENTS.encode(Alert(float(n), "note", "x" * (n % 50))) + "\\n" for n in range(3000))
data += EVENTS.encode(RunEnded(0.0, 0, 0, "finished", 0.0)) + "\\n"
file = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
for start in range(0, len(data), 37):
    os.write(file, data[start : start + 37].encode())
"""


def test_a_reader_beside_a_writing_process_sees_every_event_once_in_order(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    tail, received = EventReader(path), list[Event]()
    with start_python(WRITER, path) as writer:
        while not (received and isinstance(received[-1], RunEnded)):
            received += tail.read()
            assert writer.poll() in (None, 0)
    assert [event.t for event in received[:-1]] == [float(number) for number in range(3000)]
    assert tail.invalid_lines == 0
