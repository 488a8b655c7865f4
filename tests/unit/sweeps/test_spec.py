"""Sweep files, and one clear line for every mistake in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from fmnist_tui.config.problems import ConfigError
from fmnist_tui.sweeps import spec as specs
from fmnist_tui.sweeps.space import Dimension
from fmnist_tui.util.errors import UserError
from tests.unit.sweeps.support import SEARCH, make_spec


def test_a_sweep_file_is_parsed() -> None:
    spec = make_spec()
    assert (spec.name, spec.trials, spec.startup, spec.sampler) == ("search", 6, 2, "tpe")
    assert spec.base.model == "linear" and spec.base.epochs == 3
    assert spec.space == (
        Dimension("lr", low=1e-4, high=1e-1, log=True),
        Dimension("optimizer", ("adamw", "sgd")),
    )


def test_a_written_spec_is_read_back_unchanged() -> None:
    spec = make_spec(SEARCH + 'limit = "none"\n')
    assert spec.promote == {"epochs": 8, "limit": None}
    text = specs.to_toml(spec, {"storage": "sqlite:///x", "version": "1"})
    assert specs.parse(text, "x") == spec


def test_the_shipped_sweeps_are_valid() -> None:
    assert "two-conv" in specs.shipped_names()
    for name in specs.shipped_names():
        spec = specs.load(name)
        assert spec.about and spec.space and spec.base.epochs <= 5


def test_a_sweep_may_use_a_recipe_as_its_base() -> None:
    text = 'recipe = "two-conv"\n[run]\nepochs = 2\n[space.lr]\nlow = 0.001\nhigh = 0.01\n'
    base = specs.parse(text, "x").base
    assert (base.model, base.epochs, base.weight_decay) == ("two-conv", 2, 0.05)


def test_a_trials_config_is_the_base_with_its_parameters_and_own_name() -> None:
    config = make_spec().trial_config({"lr": 0.02, "optimizer": "sgd"}, 12)
    assert (config.lr, config.optimizer, config.epochs) == (0.02, "sgd", 3)
    assert config.recipe == "search-12"


def test_a_promoted_trial_has_the_promote_settings_too() -> None:
    config = make_spec().promoted_config({"lr": 0.02, "optimizer": "sgd"}, 12, seed=3)
    assert (config.epochs, config.lr, config.seed) == (8, 0.02, 3)


def test_overrides_change_the_base_but_not_varied_settings() -> None:
    assert specs.parse(SEARCH, "x", changes={"epochs": 9}).base.epochs == 9
    assert specs.parse(SEARCH, "x", defaults={"lr": 9.0, "epochs": 4}).base.epochs == 4
    with pytest.raises(ConfigError, match=r"lr = 0\.1: is varied by this sweep"):
        specs.parse(SEARCH, "x", changes={"lr": 0.1})


def space(lines: str) -> str:
    return f"[run]\nepochs = 2\n{lines}"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "space = {}: is empty: vary at least one setting"),
        ("[space]\n", "space = {}: is empty"),
        ("[space.rl]\nlow = 1\nhigh = 2\n", 'space.rl = {.*}: no such setting; did you mean "lr"'),
        ("[space.lr]\nlow = 0.1\nhigh = 0.1\n", r"space.lr.low = 0.1: must be below high \(0.1\)"),
        ("[space.lr]\nlow = 2.0\nhigh = 0.1\n", "space.lr.low = 2.0: must be below high"),
        ("[space.lr]\nlow = 0.0\nhigh = 0.1\nlog = true\n", "low = 0.0: must be above 0 when log"),
        ("[space.lr]\nlow = 0.1\n", "space.lr = {'low': 0.1}: needs high, or choices"),
        ("[space.lr]\nlow = 'a'\nhigh = 0.1\n", "space.lr.low = 'a': must be a number"),
        ("[space.lr]\nlow = 0.1\nhigh = 500\n", "space.lr.high = 500.0: must be a number above 0"),
        ("[space.lr]\nlow = 0.1\nhigh = 0.2\nlgo = true\n", "lgo = true: unknown key; did you"),
        ("[space.lr]\nlow = 0.1\nhigh = 0.2\nlog = 1\n", "log = 1: must be true or false"),
        (
            "[space.lr]\nlow = 0.1\nhigh = 0.2\nstep = 5\n",
            "step = 5: must be above 0, at most high",
        ),
        (
            "[space.lr]\nlow = 0.1\nhigh = 0.2\nstep = 0.1\nlog = true\n",
            "step = 0.1: cannot be used with log",
        ),
        (
            "[space.lr]\nlow = 0.1\nhigh = 0.2\nchoices = [0.1]\n",
            "choices cannot be combined with low, high",
        ),
        ("[space.lr]\nchoices = []\n", r"space.lr.choices = \[\]: must be a list"),
        ("[space.lr]\nchoices = [0.1, 'x']\n", "choices = 'x': must be a number above 0"),
        (f"[space.lr]\nlow = {'9' * 400}\nhigh = 1\n", "low = 9+…9+: must be a number"),
        (f"[space.lr]\nchoices = [{'9' * 400}]\n", "choices = 9+…9+: must be a number above 0"),
        (f"[space.lr]\nchoices = {[*range(2000)]}\n", "has more than 1,000 choices"),
        ("[space.lr]\nchoices = [0.1, 0.1]\n", "choices = 0.1: is listed twice"),
        ("[space.flip]\nlow = 0\nhigh = 1\n", "space.flip = {.*}: needs choices, each true or"),
        ("[space.batch_size]\nlow = 1.5\nhigh = 8\n", "low = 1.5: must be a whole number"),
        ("[space.optimizer]\nchoices = ['adam', 'smd']\n", "choices = 'smd': unknown"),
        ("[space]\nlr = 3\n", "space.lr = 3: must be a table"),
        ("[space.seed]\nlow = 0\nhigh = 9\n", "space.seed = .*: cannot be varied: names and seeds"),
        ("[space.device]\nchoices = ['cpu']\n", "space.device = .*: cannot be varied"),
        (
            "[space.dataset]\nchoices = ['mnist']\n",
            "cannot be varied: every trial must be evaluated",
        ),
        ("[space.val_fraction]\nlow = 0.1\nhigh = 0.2\n", "space.val_fraction = .*: cannot be"),
        ("[space.recipe]\nchoices = ['a']\n", "space.recipe = .*: cannot be varied"),
        ("[space.split_seed]\nlow = 0\nhigh = 3\n", "space.split_seed = .*: cannot be varied"),
        ("[space.epochs]\nlow = 1\nhigh = 3\n", "space.epochs = .*: trials are compared epoch by"),
    ],
)
def test_an_invalid_search_space_is_reported_in_one_line(text: str, line: str) -> None:
    with pytest.raises(ConfigError, match=line) as caught:
        specs.parse(space(text), "sweep.toml")
    assert str(caught.value).startswith("sweep.toml: ")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[sweep]\ntrials = 0\n", "sweep.trials = 0: must be a whole number from 1"),
        ("[sweep]\ntrials = true\n", "sweep.trials = true: must be"),
        ("[sweep]\nsampler = 'tpq'\n", "sweep.sampler = 'tpq': must be one of tpe, random, grid"),
        ("[sweep]\npruner = 3\n", "sweep.pruner = 3: must be one of median, hyperband, none"),
        ("[sweep]\ntrails = 3\n", r"sweep.trails = 3: unknown key in \[sweep\]; did you mean"),
        ("[sweep]\nname = ''\n", "sweep.name = '': must be 1 to 60 characters without a /"),
        ("[sweep]\nname = 'a/b'\n", "sweep.name = 'a/b': must be 1 to 60 characters without a /"),
        ("[sweep]\ntimeout = 0\n", "sweep.timeout = 0: must be seconds, a number above 0"),
        ("[sweep]\nseed = -1\n", "sweep.seed = -1: must be a whole number from 0"),
        ("[sweep]\nstartup = 1.5\n", "sweep.startup = 1.5: must be a whole number from 0"),
        ("[promote]\nseed = 3\n", "promote.seed = 3: must be the same as in the trials"),
        ("[promote]\nlr = 0.3\n", "promote.lr = 0.3: is varied by this sweep"),
        ("[promote]\nepochs = 0\n", "promote.epochs = 0: must be a whole number from 1"),
        ("[spaec.lr]\nlow = 1\n", "spaec = {.*}: unknown key in a sweep file; did you mean"),
        ("[run]\nval_fraction = 0.0\n", "val_fraction = 0.0: validation decides which trial"),
        ("[run]\ndevices = 2\n", "devices = 2: a trial has one device"),
        ("[run]\nepocs = 3\n", "epocs = 3: no such setting; did you mean"),
        ("[run]\nlimit = 70000\n", "limit = 70000: fashion leaves 50,000 training images"),
    ],
)
def test_other_mistakes_are_reported_in_one_line(text: str, line: str) -> None:
    with pytest.raises(ConfigError, match=line) as caught:
        specs.parse(f"{text}[space.lr]\nlow = 0.1\nhigh = 0.2\n", "sweep.toml")
    assert len(str(caught.value).splitlines()) == 1


def test_several_mistakes_are_all_reported() -> None:
    text = "[sweep]\ntrials = 0\nsampler = 'x'\n[space.lr]\nlow = 2.0\nhigh = 1.0\n"
    with pytest.raises(ConfigError) as caught:
        specs.parse(text, "x")
    assert len(caught.value.problems) == 3


def test_a_missing_or_unreadable_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no such sweep file"):
        specs.load(str(tmp_path / "none.toml"))
    (tmp_path / "bad.toml").write_text("a = [")
    with pytest.raises(UserError, match="not a readable TOML file"):
        specs.load(str(tmp_path / "bad.toml"))
    with pytest.raises(UserError, match=r"tow-conv is neither .* did you mean \"two-conv\""):
        specs.load("tow-conv")


def test_a_recipe_of_several_runs_cannot_be_varied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FMNIST_TUI_CONFIGS", str(tmp_path))
    stages = "".join(f'[[stage]]\nname = "{name}"\nrun = {{seed = 1}}\n' for name in "ab")
    (tmp_path / "twice.toml").write_text(f'about = "two runs"\n[run]\nepochs = 1\n{stages}')
    text = 'recipe = "twice"\n[space.lr]\nlow = 0.1\nhigh = 0.2\n'
    with pytest.raises(ConfigError, match="recipe = 'twice': consists of several runs"):
        specs.parse(text, "x")


def test_a_grid_has_one_trial_per_point_and_must_be_finite() -> None:
    text = (
        "[sweep]\nsampler = 'grid'\n[space.dropout]\nlow = 0.0\nhigh = 0.3\nstep = 0.1\n"
        "[space.flip]\nchoices = [false, true]\n[space.shift]\nlow = 0\nhigh = 2\n"
    )
    spec = specs.parse(text, "x")
    assert spec.grid_size() == spec.trials == 24
    assert spec.space[0].points() == (0.0, 0.1, 0.2, 0.3)
    assert specs.parse(text.replace("'grid'", "'grid'\ntrials = 5"), "x").trials == 5
    with pytest.raises(ConfigError, match=r"space\.lr = .*: a grid needs choices or a step"):
        specs.parse(f"{text}[space.lr]\nlow = 0.1\nhigh = 0.2\n", "x")
    with pytest.raises(UserError, match="this grid has 240,000 points, more than 10,000"):
        specs.parse(f"{text}[space.momentum]\nlow = 0.0\nhigh = 0.9999\nstep = 0.0001\n", "x")


def test_only_settings_that_affect_trials_count_as_differences() -> None:
    spec = make_spec()
    same = make_spec(SEARCH.replace('model = "linear"', 'model = "linear"\nthreads = 2'))
    assert spec.differences(same) == []
    assert spec.differences(make_spec(SEARCH.replace("trials = 6", "trials = 60"))) == []
    longer = make_spec(SEARCH.replace("epochs = 3", "epochs = 4"))
    assert spec.differences(longer) == ["epochs 3 against 4"]
    wider = make_spec(SEARCH.replace("high = 1e-1", "high = 1.0"))
    assert spec.differences(wider) == ["lr 0.0001 … 0.1, log against 0.0001 … 1, log"]
    fewer = make_spec(SEARCH.replace('[space.optimizer]\nchoices = ["adamw", "sgd"]\n', ""))
    assert spec.differences(fewer) == ["optimizer adamw, sgd against not varied"]


def test_a_value_has_a_position_between_low_and_high() -> None:
    lr, optimizer = make_spec().space
    assert [round(lr.position(value), 3) for value in (1e-4, 1e-3, 1e-1, 9.0)] == [0, 0.333, 1, 1]
    assert [optimizer.position(value) for value in ("adamw", "sgd", "gone")] == [0, 1, 0.5]
