"""Recipes of several runs on Train: the next begins by itself when one has finished."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import OptionList, Static

from fmnist_tui.config.plans import EnsembleStep, Plan
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.engine.run.training_handle import Training
from fmnist_tui.protocol.commands import Command, Stop
from fmnist_tui.protocol.events import DETACHED, FINISHED, STOPPED, RunEnded
from fmnist_tui.runs import handover
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.handover import HandoverOutput
from fmnist_tui.tui.app import Dashboard
from fmnist_tui.tui.base.dialogs import ChoiceDialog, PickerDialog, PromptDialog
from fmnist_tui.tui.jobs.recipe_check import check_recipe
from fmnist_tui.tui.launch import _finish_run
from fmnist_tui.tui.screens.train.form import Form
from fmnist_tui.tui.screens.train.log import LogPane
from fmnist_tui.tui.screens.train.progress import RunProgress
from fmnist_tui.tui.screens.train.screen import TrainScreen
from fmnist_tui.tui.state.app_state import AppState
from fmnist_tui.util.errors import UserError
from tests.tui.conftest import OpenDashboard
from tests.tui.support import CONFIG, events, make_run, wait_until

STAGED = """
about = "two linked stages"
[run]
dataset = "sketches"
epochs = 3
[[stage]]
name = "pretrain"
run = { classes = [0, 1, 2, 3, 4] }
[[stage]]
name = "adapt"
run = { classes = [5, 6, 7, 8, 9], freeze = "convolutions" }
"""
UNITED = """
about = "two seeds"
[run]
dataset = "sketches"
epochs = 3
[ensemble]
seeds = 2
tta = "flip"
"""


class Scripted(Training):
    """A run of its own folder that ends when a test says so."""

    def __init__(self, config: RunConfig, runs_dir: Path) -> None:
        super().__init__(config)
        self.told: list[Command] = []
        self.set_record(
            RunFolder.create(runs_dir, config.recipe, config.dataset), self.events.append
        )
        self.events.extend(events(config, epochs=1, ended=False))

    def send(self, command: Command) -> None:
        self.told.append(command)

    def end(self, reason: str = FINISHED) -> None:
        self.events.append(RunEnded(0.0, 20, 1, reason, 1.0))
        self.finish()


@pytest.fixture
def begun(app_state: AppState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Scripted]:
    """The runs that are begun, and recipes to begin them with."""
    configs = tmp_path / "configs"
    configs.mkdir()
    (configs / "staged.toml").write_text(STAGED)
    (configs / "united.toml").write_text(UNITED)
    monkeypatch.setenv("FMNIST_TUI_CONFIGS", str(configs))
    found: list[Scripted] = []

    def train(config: RunConfig) -> Training:
        found.append(Scripted(config, app_state.runs_dir))
        return found[-1]

    monkeypatch.setattr(app_state.session, "train", train)
    return found


def form_title(dashboard: Dashboard) -> str:
    return str(dashboard.screen.query_one(Form).border_title)


def logged(dashboard: Dashboard) -> str:
    """The log, however it is scrolled and its lines are broken."""
    return " ".join(line.text.strip() for line in dashboard.screen.query_one(LogPane).lines)


@pytest.fixture
def toasts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is said in toasts, though they may be gone again."""
    found: list[str] = []
    notify = Dashboard.notify

    def record(dashboard: Dashboard, message: str, *args: Any, **options: Any) -> None:
        found.append(message)
        notify(dashboard, message, *args, **options)

    monkeypatch.setattr(Dashboard, "notify", record)
    return found


async def chosen(dashboard: Dashboard, pilot: Pilot[int], name: str) -> None:
    """Choose a recipe as a user does."""
    await pilot.press("f", *name, "enter")
    await wait_until(pilot, lambda: isinstance(dashboard.screen, TrainScreen))


async def test_the_next_stage_begins_when_the_one_before_has_finished(
    open_dashboard: OpenDashboard, begun: list[Scripted], toasts: list[str]
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        await chosen(dashboard, pilot, "staged")
        assert form_title(dashboard) == "stage 1 of 2: pretrain · recipe staged"
        await pilot.press("space")
        await wait_until(pilot, lambda: len(begun) == 1)
        assert begun[0].config.classes == (0, 1, 2, 3, 4)
        await wait_until(pilot, lambda: not begun[0].events)
        title = str(dashboard.screen.query_one(RunProgress).border_title)
        assert "stage 1 of 2: pretrain" in title
        assert len(begun) == 1, "not before it has finished"
        begun[0].end()
        await wait_until(pilot, lambda: len(begun) == 2)
        second = begun[1].config
        assert begun[0].folder is not None
        assert (second.classes, second.start) == ((5, 6, 7, 8, 9), str(begun[0].folder.path))
        await wait_until(pilot, lambda: not begun[1].events)
        await wait_until(pilot, lambda: "continues: stage 2 of 2: adapt" in logged(dashboard))
        await wait_until(
            pilot, lambda: "staged continues: stage 2 of 2: adapt" in "\n".join(toasts)
        )
        assert "stage 2 of 2: adapt" in str(dashboard.screen.query_one(RunProgress).border_title)
        begun[1].end()
        await wait_until(pilot, lambda: dashboard.app_state.plan is None)
        await wait_until(pilot, lambda: "staged is done: all 2 steps" in "\n".join(toasts))
        await pilot.pause(0.2)
        assert len(begun) == 2


async def test_what_the_form_changes_holds_for_the_stages_that_follow(
    open_dashboard: OpenDashboard, begun: list[Scripted]
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        await chosen(dashboard, pilot, "staged")
        screen = dashboard.screen
        assert isinstance(screen, TrainScreen)
        screen.draft.set("lr", "0.0123")
        screen.draft.set("classes", "1, 2")
        await pilot.press("space")
        await wait_until(pilot, lambda: len(begun) == 1)
        assert (begun[0].config.lr, begun[0].config.classes) == (0.0123, (1, 2))
        begun[0].end()
        await wait_until(pilot, lambda: len(begun) == 2)
        assert (begun[1].config.lr, begun[1].config.classes) == (0.0123, (5, 6, 7, 8, 9))
        begun[1].end()


async def test_a_change_that_a_later_stage_cannot_take_is_refused_at_once(
    open_dashboard: OpenDashboard, begun: list[Scripted]
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        await chosen(dashboard, pilot, "staged")
        screen = dashboard.screen
        assert isinstance(screen, TrainScreen)
        screen.draft.set("dataset", "folder:/somewhere")
        screen.draft.set("classes", "0, 1")
        screen.draft.set("dataset", "sketches")
        screen.draft.set("body_lr", "0.5")
        screen.draft.set("freeze", "body")
        screen.draft.set("start", "last")
        assert screen.draft.problems
        await pilot.press("space")
        await pilot.pause()
        assert begun == [] and dashboard.app_state.plan is None


async def test_the_plan_goes_on_behind_another_screen(
    open_dashboard: OpenDashboard, begun: list[Scripted]
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        await chosen(dashboard, pilot, "staged")
        await pilot.press("space")
        await wait_until(pilot, lambda: len(begun) == 1)
        await pilot.press("6")
        begun[0].end()
        await wait_until(pilot, lambda: len(begun) == 2)
        begun[1].end()
        await wait_until(pilot, lambda: dashboard.app_state.plan is None)


async def test_stopping_a_stage_ends_the_plan(
    open_dashboard: OpenDashboard, begun: list[Scripted], toasts: list[str]
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        await chosen(dashboard, pilot, "staged")
        await pilot.press("space")
        await wait_until(pilot, lambda: bool(begun) and not begun[0].events)
        await pilot.press("s")
        assert [type(command) for command in begun[0].told] == [Stop]
        begun[0].end(STOPPED)
        await wait_until(pilot, lambda: dashboard.app_state.plan is None)
        await wait_until(pilot, lambda: "staged ends here" in logged(dashboard))
        assert toasts[-1] == "staged ends here: 1 of its 2 steps skipped"
        assert len(begun) == 1


async def test_a_stage_that_does_not_begin_ends_the_plan(
    open_dashboard: OpenDashboard,
    begun: list[Scripted],
    toasts: list[str],
    app_state: AppState,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        await chosen(dashboard, pilot, "staged")
        await pilot.press("space")
        await wait_until(pilot, lambda: len(begun) == 1)

        def refuse(config: RunConfig) -> Training:
            raise UserError("no more")

        monkeypatch.setattr(app_state.session, "train", refuse)
        begun[0].end()
        await wait_until(pilot, lambda: dashboard.app_state.plan is None)
        await wait_until(pilot, lambda: "1 of its 2 steps skipped" in "\n".join(toasts))
        assert "no more" in "\n".join(toasts)


async def test_members_are_trained_and_then_united_by_an_errand(
    open_dashboard: OpenDashboard,
    begun: list[Scripted],
    toasts: list[str],
    app_state: AppState,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[str, list[str], Callable[[Any], None]]] = []
    async with open_dashboard("train") as (dashboard, pilot):
        monkeypatch.setattr(
            dashboard,
            "start_job",
            lambda title, words, then, missed: asked.append((title, words, then)),
        )
        await chosen(dashboard, pilot, "united")
        assert form_title(dashboard) == "member 1 of 2 · recipe united"
        await pilot.press("space")
        for place in range(2):
            await wait_until(pilot, lambda place=place: len(begun) == place + 1)  # type: ignore[misc]
            begun[place].end()
        await wait_until(pilot, lambda: bool(asked))
        assert [run.config.seed for run in begun] == [0, 1]
        title, words, then = asked[0]
        runs = [str(run.folder.path) for run in begun if run.folder is not None]
        assert title == "united: ensemble of 2"
        assert words[:3] == ["ensemble", *runs]
        assert {"--tta=flip", "--recipe=united", f"--runs={app_state.runs_dir}"} <= set(words)
        made = make_run(app_state.runs_dir)
        then(
            {
                "path": str(made.path),
                "model": "2 × two-conv",
                "val": None,
                "test": {"accuracy": 0.9321, "count": 1000},
            }
        )
        assert dashboard.app_state.plan is None and dashboard.app_state.selected_run == made
        assert "united is done: " in toasts[-1] and "test 93.21 %" in toasts[-1]


async def test_settings_of_a_stages_run_are_one_run_again(
    open_dashboard: OpenDashboard, begun: list[Scripted]
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        await chosen(dashboard, pilot, "staged")
        await pilot.press("space")
        await wait_until(pilot, lambda: len(begun) == 1)
        begun[0].end(STOPPED)
        await wait_until(pilot, lambda: dashboard.app_state.plan is None)
        await pilot.press("n")
        assert "stage 1 of 2" not in form_title(dashboard)
        await pilot.press("space")
        await wait_until(pilot, lambda: len(begun) == 2)
        begun[1].end()
        await pilot.pause(0.3)
        assert len(begun) == 2 and dashboard.app_state.plan is None


async def test_the_palette_and_other_screens_lead_to_the_first_stage_too(
    open_dashboard: OpenDashboard, begun: list[Scripted]
) -> None:
    async with open_dashboard("data") as (dashboard, pilot):
        dashboard.edit_recipe("staged")
        await wait_until(pilot, lambda: isinstance(dashboard.screen, TrainScreen))
        await pilot.pause()
        assert form_title(dashboard) == "stage 1 of 2: pretrain · recipe staged"


async def test_who_leaves_in_the_middle_of_a_plan_is_told_what_is_left_out(
    open_dashboard: OpenDashboard, begun: list[Scripted], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr("fmnist_tui.tui.launch._print", told.append)
    async with open_dashboard("train") as (dashboard, pilot):
        await chosen(dashboard, pilot, "staged")
        await pilot.press("space")
        await wait_until(pilot, lambda: len(begun) == 1)
        begun[0].end(STOPPED)
        app_state = dashboard.app_state
        assert app_state.plan is not None
        _finish_run(app_state)
    assert told[-1] == "staged: 1 of 2 steps skipped"


async def test_a_detached_run_takes_what_follows_it_along(
    open_dashboard: OpenDashboard,
    begun: list[Scripted],
    app_state: AppState,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[str] = []
    started: list[list[str]] = []

    def start(words: list[str], output: HandoverOutput) -> int:
        started.append(words)
        return 4711

    monkeypatch.setattr("fmnist_tui.tui.launch._print", told.append)
    monkeypatch.setattr(handover, "start_detached", start)
    async with open_dashboard("train") as (dashboard, pilot):
        await chosen(dashboard, pilot, "staged")
        await pilot.press("space")
        await wait_until(pilot, lambda: len(begun) == 1)
        begun[0].end(DETACHED)
        assert app_state.plan is not None
        plan = app_state.plan
        _finish_run(app_state)
    (words,) = started
    assert begun[0].folder is not None
    assert words[:2] == ["train", f"--resume={begun[0].folder.path.absolute()}"]
    kept = Plan.from_file(Path(words[-1].removeprefix("--plan=")))
    assert kept == plan and kept.remaining == 2
    assert told[-1] == "1 more step of staged run in that process"


async def test_m_trains_several_seeds_of_the_form_for_an_ensemble(
    open_dashboard: OpenDashboard, begun: list[Scripted], toasts: list[str]
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        screen = dashboard.screen
        assert isinstance(screen, TrainScreen)
        screen.draft.set("seed", "5")
        await pilot.press("M")
        await wait_until(pilot, lambda: isinstance(dashboard.screen, PromptDialog))
        await pilot.press("1", "enter")
        problem = dashboard.screen.query_one(Static)
        await wait_until(pilot, lambda: "2 to 64 seeds" in str(problem.content))
        await pilot.press("backspace", "2", "enter")
        await wait_until(pilot, lambda: len(begun) == 1)
        plan = dashboard.app_state.plan
        assert plan is not None and plan.heading == "member 1 of 2"
        assert plan.steps[-1] == EnsembleStep("ensemble of 2", "none")
        begun[0].end()
        await wait_until(pilot, lambda: len(begun) == 2)
        assert [run.config.seed for run in begun] == [5, 6]
        await pilot.press("M")
        await wait_until(pilot, lambda: any("a run is in progress" in toast for toast in toasts))


async def test_a_start_is_picked_among_the_runs_typed_or_taken_back(
    open_dashboard: OpenDashboard,
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        app_state = dashboard.app_state
        made = make_run(app_state.runs_dir, CONFIG)
        screen = dashboard.screen
        assert isinstance(screen, TrainScreen)
        screen.query_one(Form).fields.go_to("start")
        await pilot.press("enter")
        await wait_until(pilot, lambda: isinstance(dashboard.screen, PickerDialog))
        await pilot.press(*made.id, "enter")
        await wait_until(pilot, lambda: screen.draft.values["start"] == made.name)
        await pilot.press("enter")
        await wait_until(pilot, lambda: isinstance(dashboard.screen, PickerDialog))
        await pilot.press(*"model", "enter")
        await pilot.pause()
        await pilot.press(*"x.pth", "enter")
        await wait_until(pilot, lambda: str(screen.draft.values["start"]).endswith("x.pth"))
        await pilot.press("enter")
        await wait_until(pilot, lambda: isinstance(dashboard.screen, PickerDialog))
        await pilot.press(*"none", "enter")
        await wait_until(pilot, lambda: screen.draft.values["start"] is None)


async def test_the_palette_has_a_recipe_held_to_its_claims_after_a_question(
    open_dashboard: OpenDashboard,
    app_state: AppState,
    begun: list[Scripted],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with open_dashboard("runs") as (dashboard, pilot):
        asked: list[tuple[str, list[str]]] = []
        said: list[str] = []

        def errand(title: str, words: list[str], then: Callable[[Any], None]) -> None:
            asked.append((title, words))
            then(FOUND)

        monkeypatch.setattr(dashboard, "start_job", errand)
        monkeypatch.setattr(dashboard, "notify", lambda message, *_, **__: said.append(message))
        for answer in ("n", "y"):
            dashboard.start_flow(check_recipe(dashboard, "fast"))
            await wait_until(pilot, lambda: bool(dashboard.screen.query(OptionList)))
            assert "2 claims, 5 runs to train" in str(dashboard.screen.query_one(Static).render())
            await pilot.press(answer)
            await wait_until(pilot, lambda: not isinstance(dashboard.screen, ChoiceDialog))
        folders = [f"--runs={app_state.runs_dir}", f"--data={app_state.data_dir}"]
        assert asked == [("check fast", ["recipes", "check", "fast", *folders])]
        assert said == ["fast keeps 1 of 2 claims; 1 could not be checked"]
        dashboard.start_flow(check_recipe(dashboard, "staged"))
        assert said[-1] == "staged has no claims to check"


FOUND = [{"recipe": "fast", "passed": True}, {"recipe": "fast", "passed": None}]
