"""Recipes of several runs: the next run starts when the previous one has finished."""

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
from fmnist_tui.tui.state.app_state import AppState, QuitMode
from fmnist_tui.util.errors import UserError
from tests.tui.conftest import OpenDashboard
from tests.tui.support import CONFIG, events, make_run, record_toasts, wait_until

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
COMBINED = """
about = "two seeds"
[run]
dataset = "sketches"
epochs = 3
[ensemble]
seeds = 2
tta = "flip"
"""


class FakeTraining(Training):
    """A training that ends when the test calls `end`."""

    def __init__(self, config: RunConfig, runs_dir: Path) -> None:
        super().__init__(config)
        self.commands: list[Command] = []
        self.set_record(
            RunFolder.create(runs_dir, config.recipe, config.dataset), self.events.append
        )
        self.events.extend(events(config, epochs=1, ended=False))

    def send(self, command: Command) -> None:
        self.commands.append(command)

    def end(self, reason: str = FINISHED) -> None:
        self.events.append(RunEnded(0.0, 20, 1, reason, 1.0))
        self.finish()


@pytest.fixture
def trainings(
    app_state: AppState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> list[FakeTraining]:
    """The trainings that are started from now on, and recipes of several runs."""
    configs = tmp_path / "configs"
    configs.mkdir()
    (configs / "staged.toml").write_text(STAGED)
    (configs / "combined.toml").write_text(COMBINED)
    monkeypatch.setenv("FMNIST_TUI_CONFIGS", str(configs))
    trainings: list[FakeTraining] = []

    def train(config: RunConfig) -> Training:
        trainings.append(FakeTraining(config, app_state.runs_dir))
        return trainings[-1]

    monkeypatch.setattr(app_state.session, "train", train)
    return trainings


def form_title(dashboard: Dashboard) -> str:
    return str(dashboard.screen.query_one(Form).border_title)


def form_source(dashboard: Dashboard) -> str:
    return str(dashboard.screen.query_one(Form).border_subtitle)


def log_text(dashboard: Dashboard) -> str:
    """The whole text of the log, without line breaks."""
    return " ".join(line.text.strip() for line in dashboard.screen.query_one(LogPane).lines)


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the dashboard prints after its screen has closed."""
    lines: list[str] = []
    monkeypatch.setattr("fmnist_tui.tui.launch._print", lines.append)
    return lines


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that would have been started in processes of their own."""
    commands: list[list[str]] = []

    def start(words: list[str], output: HandoverOutput) -> int:
        commands.append(words)
        return 4711

    monkeypatch.setattr(handover, "start_detached", start)
    monkeypatch.setattr(handover, "START_SECONDS", 0.0)
    return commands


@pytest.fixture
def toasts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    return record_toasts(monkeypatch)


async def choose_recipe(dashboard: Dashboard, pilot: Pilot[int], name: str) -> None:
    """Choose a recipe as a user does."""
    await pilot.press("f", *name, "enter")
    await wait_until(pilot, lambda: isinstance(dashboard.screen, TrainScreen))


async def start_recipe(
    dashboard: Dashboard, pilot: Pilot[int], name: str, trainings: list[FakeTraining]
) -> None:
    await choose_recipe(dashboard, pilot, name)
    await pilot.press("space")
    await wait_until(pilot, lambda: len(trainings) == 1)


async def test_the_next_stage_starts_when_the_previous_one_has_finished(
    open_dashboard: OpenDashboard, trainings: list[FakeTraining], toasts: list[str]
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        await choose_recipe(dashboard, pilot, "staged")
        assert form_title(dashboard) == "Next run · stage 1 of 2: pretrain"
        assert form_source(dashboard) == "recipe staged"
        await pilot.press("space")
        await wait_until(pilot, lambda: len(trainings) == 1)
        assert trainings[0].config.classes == (0, 1, 2, 3, 4)
        await wait_until(pilot, lambda: not trainings[0].events)
        title = str(dashboard.screen.query_one(RunProgress).border_title)
        assert "stage 1 of 2: pretrain" in title
        assert len(trainings) == 1, "the second stage waits for the first"
        trainings[0].end()
        await wait_until(pilot, lambda: len(trainings) == 2)
        second = trainings[1].config
        assert trainings[0].folder is not None
        assert (second.classes, second.start) == ((5, 6, 7, 8, 9), str(trainings[0].folder.path))
        await wait_until(pilot, lambda: not trainings[1].events)
        await wait_until(pilot, lambda: "continues: stage 2 of 2: adapt" in log_text(dashboard))
        await wait_until(
            pilot, lambda: "staged continues: stage 2 of 2: adapt" in "\n".join(toasts)
        )
        assert "stage 2 of 2: adapt" in str(dashboard.screen.query_one(RunProgress).border_title)
        trainings[1].end()
        await wait_until(pilot, lambda: dashboard.app_state.plan is None)
        await wait_until(pilot, lambda: "staged is done: all 2 steps" in "\n".join(toasts))
        await pilot.pause(0.2)
        assert len(trainings) == 2


async def test_changes_in_the_form_apply_to_later_stages_too(
    open_dashboard: OpenDashboard, trainings: list[FakeTraining]
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        await choose_recipe(dashboard, pilot, "staged")
        screen = dashboard.screen
        assert isinstance(screen, TrainScreen)
        screen.draft.set("lr", "0.0123")
        screen.draft.set("classes", "1, 2")
        await pilot.press("space")
        await wait_until(pilot, lambda: len(trainings) == 1)
        assert (trainings[0].config.lr, trainings[0].config.classes) == (0.0123, (1, 2))
        trainings[0].end()
        await wait_until(pilot, lambda: len(trainings) == 2)
        assert (trainings[1].config.lr, trainings[1].config.classes) == (0.0123, (5, 6, 7, 8, 9))
        trainings[1].end()


async def test_a_change_that_is_invalid_for_a_later_stage_is_refused_at_once(
    open_dashboard: OpenDashboard, trainings: list[FakeTraining]
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        await choose_recipe(dashboard, pilot, "staged")
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
        assert trainings == [] and dashboard.app_state.plan is None


async def test_a_plan_continues_while_another_screen_is_shown(
    open_dashboard: OpenDashboard, trainings: list[FakeTraining]
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        await start_recipe(dashboard, pilot, "staged", trainings)
        await pilot.press("6")
        trainings[0].end()
        await wait_until(pilot, lambda: len(trainings) == 2)
        trainings[1].end()
        await wait_until(pilot, lambda: dashboard.app_state.plan is None)


async def test_stopping_a_stage_ends_the_plan(
    open_dashboard: OpenDashboard, trainings: list[FakeTraining], toasts: list[str]
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        await start_recipe(dashboard, pilot, "staged", trainings)
        await wait_until(pilot, lambda: not trainings[0].events)
        await pilot.press("s")
        assert [type(command) for command in trainings[0].commands] == [Stop]
        trainings[0].end(STOPPED)
        await wait_until(pilot, lambda: dashboard.app_state.plan is None)
        await wait_until(pilot, lambda: "staged ends here" in log_text(dashboard))
        assert toasts[-1] == "staged ends here: 1 of its 2 steps skipped"
        assert len(trainings) == 1


async def test_a_stage_that_cannot_start_ends_the_plan(
    open_dashboard: OpenDashboard,
    trainings: list[FakeTraining],
    toasts: list[str],
    app_state: AppState,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        await start_recipe(dashboard, pilot, "staged", trainings)

        def refuse(config: RunConfig) -> Training:
            raise UserError("no more")

        monkeypatch.setattr(app_state.session, "train", refuse)
        trainings[0].end()
        await wait_until(pilot, lambda: dashboard.app_state.plan is None)
        await wait_until(pilot, lambda: "1 of its 2 steps skipped" in "\n".join(toasts))
        assert "no more" in "\n".join(toasts)


async def test_members_are_trained_and_then_combined_by_a_job(
    open_dashboard: OpenDashboard,
    trainings: list[FakeTraining],
    toasts: list[str],
    app_state: AppState,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[tuple[str, list[str], Callable[[Any], None]]] = []
    async with open_dashboard("train") as (dashboard, pilot):
        monkeypatch.setattr(
            dashboard,
            "start_job",
            lambda title, words, then, missed: started.append((title, words, then)),
        )
        await choose_recipe(dashboard, pilot, "combined")
        assert form_title(dashboard) == "Next run · member 1 of 2"
        assert form_source(dashboard) == "recipe combined"
        await pilot.press("space")
        for number in (1, 2):
            await wait_until(pilot, lambda number=number: len(trainings) == number)  # type: ignore[misc]
            trainings[number - 1].end()
        await wait_until(pilot, lambda: bool(started))
        assert [run.config.seed for run in trainings] == [0, 1]
        title, words, then = started[0]
        runs = [str(run.folder.path) for run in trainings if run.folder is not None]
        assert title == "combined: ensemble of 2"
        assert words[:3] == ["ensemble", *runs]
        assert {"--tta=flip", "--recipe=combined", f"--runs={app_state.runs_dir}"} <= set(words)
        folder = make_run(app_state.runs_dir)
        then(
            {
                "path": str(folder.path),
                "model": "2 × two-conv",
                "val": None,
                "test": {"accuracy": 0.9321, "count": 1000},
            }
        )
        assert dashboard.app_state.plan is None and dashboard.app_state.selected_run == folder
        assert "combined is done: " in toasts[-1] and "test 93.21 %" in toasts[-1]


async def test_the_settings_of_a_stage_start_a_single_run(
    open_dashboard: OpenDashboard, trainings: list[FakeTraining]
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        await start_recipe(dashboard, pilot, "staged", trainings)
        trainings[0].end(STOPPED)
        await wait_until(pilot, lambda: dashboard.app_state.plan is None)
        await pilot.press("n")
        assert "stage 1 of 2" not in form_title(dashboard)
        await pilot.press("space", "n")
        await wait_until(pilot, lambda: len(trainings) == 2)
        trainings[1].end()
        await pilot.pause(0.3)
        assert len(trainings) == 2 and dashboard.app_state.plan is None


async def test_another_screen_can_put_the_first_stage_into_the_form(
    open_dashboard: OpenDashboard, trainings: list[FakeTraining]
) -> None:
    async with open_dashboard("data") as (dashboard, pilot):
        dashboard.edit_recipe("staged")
        await wait_until(pilot, lambda: isinstance(dashboard.screen, TrainScreen))
        await pilot.pause()
        assert form_title(dashboard) == "Next run · stage 1 of 2: pretrain"
        assert form_source(dashboard) == "recipe staged"


async def test_quitting_during_a_plan_prints_how_many_steps_were_skipped(
    open_dashboard: OpenDashboard, trainings: list[FakeTraining], printed: list[str]
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        await start_recipe(dashboard, pilot, "staged", trainings)
        trainings[0].end(STOPPED)
        app_state = dashboard.app_state
        assert app_state.plan is not None
        _finish_run(app_state)
    assert printed[-1] == "staged: 1 of 2 steps skipped"


async def test_a_detached_run_continues_its_plan(
    open_dashboard: OpenDashboard,
    trainings: list[FakeTraining],
    app_state: AppState,
    printed: list[str],
    started: list[list[str]],
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        await start_recipe(dashboard, pilot, "staged", trainings)
        trainings[0].end(DETACHED)
        assert app_state.plan is not None
        plan = app_state.plan
        _finish_run(app_state)
    (words,) = started
    assert trainings[0].folder is not None
    assert words[:2] == ["train", f"--resume={trainings[0].folder.path.absolute()}"]
    saved = Plan.from_file(Path(words[-1].removeprefix("--plan=")))
    assert saved == plan and saved.remaining == 2
    assert printed[-1] == "1 more step of staged run in that process"


async def test_the_rest_of_a_plan_goes_on_if_its_run_ends_before_it_could_be_handed_over(
    open_dashboard: OpenDashboard,
    trainings: list[FakeTraining],
    app_state: AppState,
    printed: list[str],
    started: list[list[str]],
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        await start_recipe(dashboard, pilot, "staged", trainings)
        trainings[0].end()
        app_state.quit_mode = QuitMode.DETACH
        _finish_run(app_state)
    (words,) = started
    assert trainings[0].folder is not None
    rest = Plan.from_file(Path(words[-1].removeprefix("--plan=")))
    assert rest.runs == (trainings[0].folder.path.absolute(),) and rest.remaining == 1
    assert not any(word.startswith("--resume") for word in words)
    assert printed[-1] == "staged continues in process 4711: 1 more step"


async def test_m_trains_several_seeds_of_the_form_for_an_ensemble(
    open_dashboard: OpenDashboard, trainings: list[FakeTraining], toasts: list[str]
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
        await wait_until(pilot, lambda: len(trainings) == 1)
        plan = dashboard.app_state.plan
        assert plan is not None and plan.heading == "member 1 of 2"
        assert plan.steps[-1] == EnsembleStep("ensemble of 2", "none")
        trainings[0].end()
        await wait_until(pilot, lambda: len(trainings) == 2)
        assert [run.config.seed for run in trainings] == [5, 6]
        await pilot.press("M")
        await wait_until(pilot, lambda: any("a run is in progress" in toast for toast in toasts))


async def test_the_start_is_a_chosen_run_a_typed_path_or_none(
    open_dashboard: OpenDashboard,
) -> None:
    async with open_dashboard("train") as (dashboard, pilot):
        app_state = dashboard.app_state
        folder = make_run(app_state.runs_dir, CONFIG)
        screen = dashboard.screen
        assert isinstance(screen, TrainScreen)
        screen.query_one(Form).fields.go_to("start")
        await pilot.press("enter")
        await wait_until(pilot, lambda: isinstance(dashboard.screen, PickerDialog))
        await pilot.press(*folder.id, "enter")
        await wait_until(pilot, lambda: screen.draft.values["start"] == folder.name)
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


async def test_the_claims_of_a_recipe_are_checked_after_a_question(
    open_dashboard: OpenDashboard,
    app_state: AppState,
    trainings: list[FakeTraining],
    toasts: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with open_dashboard("runs") as (dashboard, pilot):
        started: list[tuple[str, list[str]]] = []

        def start_job(title: str, words: list[str], then: Callable[[Any], None]) -> None:
            started.append((title, words))
            then(CHECKS)

        monkeypatch.setattr(dashboard, "start_job", start_job)
        for answer in ("n", "y"):
            dashboard.start_flow(check_recipe(dashboard, "fast"))
            await wait_until(pilot, lambda: bool(dashboard.screen.query(OptionList)))
            assert "2 claims, 5 runs to train" in str(dashboard.screen.query_one(Static).render())
            await pilot.press(answer)
            await wait_until(pilot, lambda: not isinstance(dashboard.screen, ChoiceDialog))
        folders = [f"--runs={app_state.runs_dir}", f"--data={app_state.data_dir}"]
        assert started == [("check fast", ["recipes", "check", "fast", *folders])]
        assert toasts == ["fast: 1 of 2 claims passed; 1 could not be checked"]
        dashboard.start_flow(check_recipe(dashboard, "staged"))
        assert toasts[-1] == "staged has no claims to check on this machine"


CHECKS = [{"recipe": "fast", "passed": True}, {"recipe": "fast", "passed": None}]
