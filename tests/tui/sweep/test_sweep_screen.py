"""The Sweep screen: every key once, over a prepared study; workers are elsewhere, or nobody."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from rich.text import Text
from textual.pilot import Pilot
from textual.widgets import Input, Static

from fmnist_tui.protocol.events import EVENTS, FINISHED, SWEEP, RunEnded, RunStarted, TrialEnded
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.sweeps import spec as specs
from fmnist_tui.sweeps import storage
from fmnist_tui.sweeps import study as studies
from fmnist_tui.sweeps.snapshot import Snapshot, SnapshotReader, StudySummary, TrialView
from fmnist_tui.sweeps.storage import StorageLocation
from fmnist_tui.sweeps.study import StudyLedger
from fmnist_tui.tui.app import Dashboard
from fmnist_tui.tui.base.dialogs import ChoiceDialog, PickerDialog, PromptDialog
from fmnist_tui.tui.screens.sweep import screen as sweep_screen
from fmnist_tui.tui.screens.sweep import space_plot, study_list, tables
from fmnist_tui.tui.screens.sweep.braille_canvas import BrailleCanvas
from fmnist_tui.tui.screens.sweep.plots import Plots
from fmnist_tui.tui.screens.sweep.space_plot import SpacePlot
from fmnist_tui.tui.state.app_state import AppState
from fmnist_tui.tui.theme import TableColours
from fmnist_tui.tui.widgets.line_chart import LineChart
from fmnist_tui.tui.widgets.line_table import LineTable
from fmnist_tui.tui.widgets.probability_bars import ProbabilityBars
from tests.tui.conftest import Opened
from tests.tui.scripted import make_run, settled
from tests.unit.sweeps.support import SEARCH, join_study, make_spec, run_trial

Errands = list[tuple[str, list[str]]]


@pytest.fixture(autouse=True)
def usual(app_state: AppState, monkeypatch: pytest.MonkeyPatch) -> StorageLocation:
    """Studies are in a journal, which is made sooner than a database; looks come often."""
    monkeypatch.setattr(sweep_screen.SweepScreen, "REFRESH_SECONDS", 0.05)
    monkeypatch.setenv(storage.VARIABLE, f"journal:{app_state.runs_dir}/studies.log")
    return storage.parse_location(None, app_state.runs_dir)


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """The workers are on another machine."""
    other = {**studies._this_process(), "host": "elsewhere"}
    monkeypatch.setattr(studies, "_this_process", lambda: other)


@pytest.fixture
def book(usual: StorageLocation, elsewhere: None) -> StudyLedger:
    """A study with three trials that are complete, the second the best, and one that failed."""
    book = join_study(usual)
    for values in ([0.5, 0.6], [0.6, 0.8], [0.4, 0.7]):
        run_trial(book, values)
    book.fail(book.claim(), "the loss stopped being a number")
    return book


@pytest.fixture
def errands(monkeypatch: pytest.MonkeyPatch) -> Iterator[Errands]:
    """What is asked of other processes; it is done at once, with no document."""
    asked: Errands = []

    def errand(
        self: Dashboard, title: str, words: list[str], then: Any = None, missed: Any = None
    ) -> None:
        asked.append((title, words))

    monkeypatch.setattr(Dashboard, "start_job", errand)
    yield asked


def table(dashboard: Dashboard, name: str = "trials") -> LineTable:
    return dashboard.screen.query_one(f"#{name}", LineTable)


def rows(dashboard: Dashboard, name: str = "trials") -> list[str]:
    shown = table(dashboard, name)
    return [shown.get_row_at(place)[0].plain for place in range(shown.row_count)]


def order(dashboard: Dashboard) -> list[int]:
    """The numbers of the trials from above."""
    return [int(row.replace("◆", " ").split()[0]) for row in rows(dashboard)]


def text(widget: Any) -> str:
    width, height = widget.size
    strips = widget.paint(width, height, widget.rich_style)
    return "\n".join(strip.text for strip in strips)


async def listed(dashboard: Dashboard, pilot: Pilot[int], count: int) -> None:
    await settled(pilot, lambda: table(dashboard).row_count == count)
    await pilot.pause()


async def test_other_views_leave_the_focus_in_sight(opened: Opened, book: StudyLedger) -> None:
    async with opened("sweep", size=(120, 36)) as (dashboard, pilot):
        await listed(dashboard, pilot, 4)
        chart = dashboard.screen.query_one(LineChart)
        for _ in range(4):
            if chart.display:
                break
            await pilot.press("v")
            await pilot.pause()
        assert chart.display
        chart.focus()
        await settled(pilot, lambda: dashboard.focused is chart)
        await pilot.press("v")
        await settled(pilot, lambda: not chart.display)
        await pilot.press("down")
        assert dashboard.focused is not None and dashboard.focused.region.area


async def test_what_matters_in_another_study_is_not_shown_for_this_one(
    opened: Opened, book: StudyLedger
) -> None:
    async with opened("sweep") as (dashboard, pilot):
        await listed(dashboard, pilot, 4)
        screen = cast(sweep_screen.SweepScreen, dashboard.screen)
        assert screen._selected is not None
        screen._show_importances((screen._selected[0], "another"), (("lr", 1.0),))
        assert ("lr", 1.0) not in screen._importances


def told(dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    said: list[str] = []
    monkeypatch.setattr(dashboard, "notify", lambda message, *_, **__: said.append(message))
    return said


async def answer(dashboard: Dashboard, pilot: Pilot[int], value: str) -> None:
    """Type an answer into the question that is asked."""
    await settled(pilot, lambda: isinstance(dashboard.screen, PromptDialog))
    dashboard.screen.query_one(Input).value = value
    await pilot.press("enter")
    await pilot.pause()


# -- what is shown ------------------------------------------------------------------------


async def test_where_there_is_no_sweep_it_says_what_to_press(opened: Opened) -> None:
    async with opened("sweep") as (dashboard, pilot):
        await settled(pilot, lambda: "press n" in table(dashboard).empty)
        for key in "wxspvo":
            await pilot.press(key)
        assert not isinstance(dashboard.screen, (PromptDialog, ChoiceDialog))


async def test_a_study_shows_its_trials_newest_first_and_the_best_marked(
    opened: Opened, book: StudyLedger
) -> None:
    async with opened("sweep", size=(160, 40)) as (dashboard, pilot):
        await listed(dashboard, pilot, 4)
        assert order(dashboard) == [3, 2, 1, 0]
        failed, _, best, _ = rows(dashboard)
        assert "failed" in failed and "the loss" in failed
        assert best.startswith("◆") and "80.00 %" in best and "█" in best
        assert "search" in rows(dashboard, "studies")[0] and "4/6" in rows(dashboard, "studies")[0]
        assert "best 80.00 % (trial 1)" in str(table(dashboard).border_title)
        about = str(table(dashboard).border_subtitle)
        assert about.startswith("3: the loss stopped being a number, lr ")
        assert about.endswith("order: newest")


async def test_trials_tick_while_workers_elsewhere_go_on(opened: Opened, book: StudyLedger) -> None:
    async with opened("sweep", size=(120, 36)) as (dashboard, pilot):
        await listed(dashboard, pilot, 4)
        begun = book.claim()
        await listed(dashboard, pilot, 5)
        assert "● running" in rows(dashboard)[0] and "1 running" in str(
            table(dashboard).border_title
        )
        book.report(begun, 1, 0.65)
        await settled(pilot, lambda: "65.00 %" in rows(dashboard)[0])
        book.complete(begun, 0.95)
        await settled(pilot, lambda: "✓ complete" in rows(dashboard)[0])
        assert rows(dashboard)[0].startswith("◆")


async def test_a_hidden_screen_does_not_look(
    opened: Opened, book: StudyLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened("sweep", size=(120, 36)) as (dashboard, pilot):
        await listed(dashboard, pilot, 4)
        await pilot.press("1")
        await pilot.pause(0.2)
        looks: list[int] = []
        monkeypatch.setattr(study_list.StudyWatcher, "load", lambda *_, **__: looks.append(1))
        await pilot.pause(0.3)
        assert looks == []


async def test_the_screens_thread_never_reads_a_storage(
    opened: Opened, book: StudyLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    readers: set[int] = set()
    look = SnapshotReader.read

    def watched(self: SnapshotReader, where: StorageLocation, name: str) -> Snapshot:
        readers.add(threading.get_ident())
        return look(self, where, name)

    monkeypatch.setattr(SnapshotReader, "read", watched)
    async with opened("sweep", size=(120, 36)) as (dashboard, pilot):
        await listed(dashboard, pilot, 4)
        assert readers and threading.get_ident() not in readers


async def test_a_storage_that_cannot_be_reached_is_a_line_and_is_left_in_peace(
    opened: Opened, book: StudyLedger, monkeypatch: pytest.MonkeyPatch, app_state: AppState
) -> None:
    folder = RunFolder.create(app_state.runs_dir, "far", "sketches")
    (folder.path / "trials").mkdir()
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setattr(storage, "CONNECT_SECONDS", 0.2)
        far = f"postgresql+psycopg://me@127.0.0.1:{silent.getsockname()[1]}/x"
        folder.config.write_text(specs.to_toml(make_spec(name="far"), {"storage": far}))
        async with opened("sweep", size=(120, 36)) as (dashboard, pilot):
            await settled(pilot, lambda: len(rows(dashboard, "studies")) == 2)
            assert (
                "✗" in rows(dashboard, "studies")[1] and "storage" in rows(dashboard, "studies")[1]
            )
            await listed(dashboard, pilot, 4)
            asked: list[StorageLocation] = []

            def connect(where: StorageLocation) -> object:
                asked.append(where)
                return storage.connect(where)

            monkeypatch.setattr("fmnist_tui.sweeps.snapshot.connect", connect)
            await pilot.pause(0.5)
            assert asked == []


async def test_another_study_is_shown_when_the_cursor_moves_to_it(
    opened: Opened, book: StudyLedger, usual: StorageLocation
) -> None:
    run_trial(join_study(usual, make_spec(name="newer")), [0.3])
    async with opened("sweep", size=(120, 36)) as (dashboard, pilot):
        await listed(dashboard, pilot, 1)
        table(dashboard, "studies").focus()
        await pilot.press("down")
        await listed(dashboard, pilot, 4)
        await pilot.press("enter")
        assert dashboard.screen.focused is table(dashboard)


async def test_a_sweep_of_the_list_of_runs_is_opened_here(
    opened: Opened, book: StudyLedger, usual: StorageLocation, app_state: AppState
) -> None:
    run_trial(join_study(usual, make_spec(name="newer")), [0.3])
    folder = RunFolder.create(app_state.runs_dir, "search", "sketches")
    (folder.path / "trials").mkdir()
    folder.config.write_text(specs.to_toml(make_spec(), {"storage": usual.public_url}))
    best = TrialEnded(1.0, 1, "complete", 0.8, (("lr", "0.1"),), 2, 3.0, 4, 0.8, "x", "")
    started = RunStarted(
        0.0, folder.name, "search", "sketches", "linear", 0, "cpu", "", "auto", 0, 6, 1, 64,
        0, 0, 0, (), kind=SWEEP,
    )  # fmt: skip
    with folder.events.open("w") as file:
        for event in (started, best, RunEnded(2.0, 4, 0, FINISHED, 2.0)):
            file.write(EVENTS.encode(event) + "\n")
    async with opened("runs", size=(160, 40)) as (dashboard, pilot):
        await settled(pilot, lambda: table(dashboard, "table").row_count == 1)
        (row,) = rows(dashboard, "table")
        assert "sweep search" in row and "4/6" in row and "80.00 %" in row
        figures = dashboard.screen.query_one("#figures")
        await settled(pilot, lambda: "0.0001 … 0.1, log" in str(figures.render()))
        table(dashboard, "table").focus()
        await pilot.press("enter")
        await settled(pilot, lambda: getattr(dashboard.screen, "NAME", "") == "sweep")
        await listed(dashboard, pilot, 4)
        assert "search" in str(table(dashboard).border_title)


# -- plots --------------------------------------------------------------------------------


async def test_v_goes_through_one_plot_at_a_time_where_there_is_room_for_one(
    opened: Opened, book: StudyLedger, app_state: AppState
) -> None:
    async with opened("sweep", size=(80, 24)) as (dashboard, pilot):
        await listed(dashboard, pilot, 4)
        seen = []
        for _ in range(4):
            (shown,) = (part for part in dashboard.screen.query_one(Plots).children if part.display)
            view = shown.view if isinstance(shown, SpacePlot) else shown.id
            seen.append(view)
            await pilot.press("v")
        assert seen == ["course", "slices", "parallel", "importance"]
        assert app_state.settings.get("sweep.view") == "course"


@pytest.mark.parametrize(
    ("size", "shown"),
    [((120, 36), {"course", "importance"}), ((200, 60), {"course", "importance", "space"})],
)
async def test_plots_stand_side_by_side_where_there_is_room(
    opened: Opened, book: StudyLedger, size: tuple[int, int], shown: set[str]
) -> None:
    async with opened("sweep", size=size) as (dashboard, pilot):
        await listed(dashboard, pilot, 4)
        assert {
            part.id for part in dashboard.screen.query_one(Plots).children if part.display
        } == shown
        await settled(pilot, lambda: "lr" in text(dashboard.screen.query_one(ProbabilityBars)))
        assert "%" in text(dashboard.screen.query_one(ProbabilityBars))
        assert "best so far" in text(dashboard.screen.query_one(LineChart))


async def test_slices_and_lines_across_show_the_trial_under_the_cursor(
    opened: Opened, book: StudyLedger, app_state: AppState
) -> None:
    app_state.settings.save("sweep.view", "slices")
    async with opened("sweep", size=(120, 36)) as (dashboard, pilot):
        await listed(dashboard, pilot, 4)
        plot = dashboard.screen.query_one(SpacePlot)
        assert "lr (log)" in text(plot) and "optimizer" in text(plot) and "◆" in text(plot)
        assert "◉" not in text(plot)  # the trial under the cursor failed, it has no place
        await pilot.press("down")
        await settled(pilot, lambda: "◉" in text(plot))
        await pilot.press("v")
        await settled(pilot, lambda: "value" in text(plot) and "│" in text(plot))


# -- keys ---------------------------------------------------------------------------------


async def test_o_changes_the_order_and_it_is_remembered(
    opened: Opened, book: StudyLedger, app_state: AppState
) -> None:
    async with opened("sweep", size=(120, 36)) as (dashboard, pilot):
        await listed(dashboard, pilot, 4)
        await pilot.press("o")
        assert order(dashboard) == [1, 2, 0, 3]
        await pilot.press("o")
        assert order(dashboard) == [0, 1, 2, 3]
        await pilot.press("o")
        assert order(dashboard) == [2, 1, 0, 3]
        assert app_state.settings.get("sweep.order") == "state"


async def test_slash_narrows_the_trials_and_escape_shows_all(
    opened: Opened, book: StudyLedger
) -> None:
    async with opened("sweep", size=(120, 36)) as (dashboard, pilot):
        await listed(dashboard, pilot, 4)
        await pilot.press("slash", *"failed")
        await listed(dashboard, pilot, 1)
        await pilot.press("enter")
        assert dashboard.screen.focused is table(dashboard)
        assert "filter: failed" in str(table(dashboard).border_subtitle)
        await pilot.press("escape")
        await listed(dashboard, pilot, 4)


async def test_enter_takes_the_trials_run_in_hand(
    opened: Opened, book: StudyLedger, app_state: AppState, elsewhere: None
) -> None:
    run = make_run(app_state.runs_dir / "trials", splits=("val",))
    begun = book.claim()
    book.record_run(begun, str(run.path))
    async with opened("sweep", size=(120, 36)) as (dashboard, pilot):
        await listed(dashboard, pilot, 5)
        await pilot.press("enter")
        await settled(pilot, lambda: getattr(dashboard.screen, "NAME", "") == "evaluate")
        assert dashboard.selected_run == run


async def test_enter_says_where_a_run_is_that_is_not_here(
    opened: Opened, book: StudyLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    book.record_run(book.claim(), "/far/away/run")
    async with opened("sweep", size=(120, 36)) as (dashboard, pilot):
        await listed(dashboard, pilot, 5)
        said = told(dashboard, monkeypatch)
        await pilot.press("enter")
        await settled(pilot, lambda: bool(said))
        assert "is not on this machine: /far/away/run on elsewhere" in said[0]
        await pilot.press("down", "enter")
        await settled(pilot, lambda: len(said) == 2)
        assert "has no run yet: it is failed" in said[1]


async def test_x_kills_a_running_trial_after_a_question(
    opened: Opened, book: StudyLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = book.claim()
    async with opened("sweep", size=(120, 36)) as (dashboard, pilot):
        await listed(dashboard, pilot, 5)
        said = told(dashboard, monkeypatch)
        await pilot.press("x")
        assert isinstance(dashboard.screen, ChoiceDialog)
        await pilot.press("x")
        await pilot.pause()
        assert book.read_requests(begun) == (False, False)
        await pilot.press("x", "k")
        await settled(pilot, lambda: book.read_requests(begun)[0])
        await settled(pilot, lambda: "kill requested" in " ".join(said))
        await pilot.press("down", "x")
        await settled(pilot, lambda: "is not running: it is failed" in said[-1])


async def test_s_stops_all_workers_after_a_question(
    opened: Opened, book: StudyLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = book.claim()
    async with opened("sweep", size=(120, 36)) as (dashboard, pilot):
        await listed(dashboard, pilot, 5)
        said = told(dashboard, monkeypatch)
        await pilot.press("s", "s")
        await settled(pilot, lambda: book.read_requests(begun)[1])
        await settled(pilot, lambda: "stopping 1 trial" in " ".join(said))


async def test_p_promotes_a_trial_with_as_many_seeds_as_are_asked_for(
    opened: Opened,
    book: StudyLedger,
    errands: Errands,
    app_state: AppState,
) -> None:
    async with opened("sweep", size=(120, 36)) as (dashboard, pilot):
        await listed(dashboard, pilot, 4)
        await pilot.press("down", "down", "p")
        await answer(dashboard, pilot, "none")
        problem = str(dashboard.screen.query_one(Static).content)
        assert problem == "'none' is not a number of seeds"
        await answer(dashboard, pilot, "2")
        ((title, words),) = errands
        assert title == "promote trial 1"
        assert words[:5] == ["sweep", "promote", "search", "--trial=1", "--seeds=2"]
        # The environment says where the study is, and its word may hold a password.
        assert words[5:] == [f"--runs={app_state.runs_dir}", f"--data={app_state.data_dir}"]


async def test_w_has_one_more_process_work_on_a_study_wherever_it_is_kept(
    opened: Opened, errands: Errands, app_state: AppState, tmp_path: Path, elsewhere: None
) -> None:
    other = storage.parse_location(f"journal:{tmp_path}/other.log", app_state.runs_dir)
    run_trial(join_study(other), [0.5])
    folder = RunFolder.create(app_state.runs_dir, "search", "sketches")
    (folder.path / "trials").mkdir()
    folder.config.write_text(specs.to_toml(make_spec(), {"storage": other.public_url}))
    async with opened("sweep", size=(120, 36)) as (dashboard, pilot):
        await listed(dashboard, pilot, 1)
        await pilot.press("w")
        await settled(pilot, lambda: isinstance(dashboard.screen, PromptDialog))
        assert dashboard.screen.query_one(Input).value == "5"
        await pilot.press("enter")
        await pilot.pause()
        ((_, words),) = errands
        assert words[:4] == ["sweep", "start", "--name=search", "--trials=5"]
        assert words[-1] == f"--storage={other.public_url}"


async def test_n_begins_a_shipped_sweep(opened: Opened, errands: Errands) -> None:
    async with opened("sweep", size=(120, 36)) as (dashboard, pilot):
        await settled(pilot, lambda: "press n" in table(dashboard).empty)
        await pilot.press("n")
        assert isinstance(dashboard.screen, PickerDialog)
        await pilot.press(*"two-conv", "enter")
        await answer(dashboard, pilot, "7")
        ((title, words),) = errands
        assert title == "sweep two-conv"
        assert words[:4] == ["sweep", "start", "two-conv", "--trials=7"]


async def test_n_begins_a_sweep_of_ones_own_and_says_what_is_wrong_with_it(
    opened: Opened, errands: Errands, tmp_path: Path, usual: StorageLocation,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    path = tmp_path / "mine.toml"
    path.write_text(SEARCH.replace("low = 1e-4", "low = 9.0"))
    async with opened("sweep", size=(120, 36)) as (dashboard, pilot):
        await settled(pilot, lambda: "press n" in table(dashboard).empty)
        said = told(dashboard, monkeypatch)
        await pilot.press("n", *"own", "enter")
        await answer(dashboard, pilot, str(path))
        await settled(pilot, lambda: bool(said))
        assert "space.lr.low = 9.0: must be below high" in said[0]
        path.write_text(SEARCH)
        await answer(dashboard, pilot, str(path))
        await answer(dashboard, pilot, f"2 journal:{tmp_path}/s.log")
        ((_, words),) = errands
        assert words[:4] == ["sweep", "start", str(path), "--trials=2"]
        assert f"--storage=journal:{tmp_path}/s.log" in words
        # As soon as it is there it is the one that is shown.
        run_trial(join_study(usual, make_spec(name="zzz")), [0.3])
        run_trial(join_study(usual, make_spec(name="mine")), [0.3, 0.4])
        await settled(pilot, lambda: "mine" in str(table(dashboard).border_title))


# -- the parts that draw --------------------------------------------------------------------


def view(**values: Any) -> TrialView:
    return TrialView(**{"number": 0, "state": "complete", **values})


PLAIN = TableColours("x", {}, {})


@pytest.mark.parametrize("width", [30, 60, 76, 90, 120, 200])
def test_lines_of_trials_are_as_wide_as_the_table(width: int) -> None:
    spec = make_spec()
    shown = Snapshot(
        "search",
        spec,
        (
            view(value=0.5, params={"lr": 0.0123456, "optimizer": "adamw"}, curve=((1, 0.5),)),
            view(number=12345, state="failed", why="w" * 200, params={}),
            view(
                number=2, state="running", silent_seconds=200.0, seconds=90000.0, params={"lr": 0.1}
            ),
        ),
    )
    columns = tables.trial_columns(spec.space, width)
    lines = tables.TrialRows().build(shown.trials, shown, columns, PLAIN)
    assert {line.cell_len for line in lines} == {width}
    assert all(isinstance(line, Text) for line in lines)
    assert "quiet 3:20" in lines[2].plain or width < 60


def test_lines_that_are_as_they_were_are_not_made_anew() -> None:
    shown, lines = many(30), tables.TrialRows()
    columns = tables.trial_columns(shown.spec.space, 120)
    before = lines.build(shown.trials, shown, columns, PLAIN)
    changed = [*shown.trials[:-1], view(number=29, state="failed")]
    after = lines.build(changed, shown, columns, PLAIN)
    assert [new is old for new, old in zip(after, before, strict=True)] == [True] * 29 + [False]
    assert "failed" in after[-1].plain


def test_what_others_have_written_steers_no_terminal() -> None:
    shown = Snapshot("search", make_spec(), ())
    hostile = view(state="failed", why="\x1b[2J\u202e boom")
    columns = tables.trial_columns(make_spec().space, 160)
    (told,) = tables.TrialRows().build([hostile], shown, columns, PLAIN)
    assert "\x1b" not in told.plain and "\u202e" not in told.plain
    study = StudySummary("\x1b]0;name", storage.StorageLocation("x"), error="")
    line = tables.format_study(study, tables.study_columns(30), PLAIN)
    assert "\x1b" not in line.plain and line.cell_len == 30
    assert "\x1b" not in tables.table_title(Snapshot("\x1b[0m", make_spec(), ()))


def test_trials_are_found_by_any_of_their_words() -> None:
    some = [
        view(number=1, params={"optimizer": "sgd"}),
        view(number=2, state="failed", why="too little memory"),
    ]
    assert [trial.number for trial in tables.filter_trials(some, "optimizer sgd")] == [1]
    assert [trial.number for trial in tables.filter_trials(some, "FAILED memory")] == [2]


def many(count: int) -> Snapshot:
    text = (
        SEARCH + "[space.dropout]\nlow = 0.0\nhigh = 0.5\n[space.flip]\nchoices = [false, true]\n"
    )
    spec = make_spec(text.replace("[promote]\nepochs = 8\n", ""))
    return Snapshot(
        "search",
        spec,
        tuple(
            view(
                number=number,
                value=(number % 89) / 100,
                params={
                    "lr": 1e-4 * 10 ** (number % 4),
                    "optimizer": ("adamw", "sgd")[number % 2],
                    "dropout": (number % 6) / 10,
                    "flip": number % 3 == 0,
                },
            )
            for number in range(count)
        ),
    )


@pytest.mark.parametrize("count", [0, 1, 2, 300])
@pytest.mark.parametrize(("width", "height"), [(10, 3), (20, 6), (46, 14), (76, 7), (130, 50)])
def test_plots_fill_their_room_and_no_more(count: int, width: int, height: int) -> None:
    shown = many(count)
    for rows_, kept in (
        space_plot.draw_slices(shown, ("flip",), 1, width, height),
        space_plot.draw_parallel(shown, ("flip",), 1, width, height),
    ):
        assert len(rows_) <= height and 0 <= kept <= 4
        for row in rows_:
            assert sum(len(part) for part, _ in row) <= width + 2


def test_what_matters_most_is_drawn_where_there_is_room_for_little() -> None:
    rows_, kept = space_plot.draw_slices(many(20), ("flip", "lr"), None, 40, 5)
    assert kept == 2
    title = "".join(part for part, _ in rows_[0])
    assert title.split() == ["flip", "lr", "(log)"]


def test_a_few_hopeless_trials_do_not_squeeze_the_others() -> None:
    good = [view(number=number, value=0.9 + number / 1000) for number in range(9)]
    low, high = space_plot.value_bounds([view(number=9, value=0.1), *good])
    assert 0.88 < low < 0.9 and high == pytest.approx(0.908)


def test_a_canvas_puts_dots_lines_and_signs_where_they_belong() -> None:
    canvas = BrailleCanvas(4, 2)
    canvas.line((0, 0), (1, 1), "a")
    canvas.symbol(0, 1, "◆", "b")
    top, bottom = ("".join(text for text, _ in row) for row in canvas.rows())
    assert top[0] == "◆" and top[3] != " " and bottom[0] != " " and bottom[3] == " "
    canvas = BrailleCanvas(3, 1)
    canvas.vertical_line(0.5, "a")
    assert canvas.rows() == [[(" ", ""), ("│", "a"), (" ", "")]]
