"""Recipes, sweeps, plans and the dashboard's settings, in any state."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from fmnist_tui.config import recipes, run_config
from fmnist_tui.config.plans import Plan
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.sweeps import spec
from fmnist_tui.tui.state.settings import KEYS, VIEW, Settings
from tests.soak.concern import Concern, Tally, spread
from tests.soak.hostile_files import (
    HostileFile,
    file_of,
    find_unsafe_lines,
    mutations,
    read_all,
    truncations,
)
from tests.soak.json_values import json_variants

# Values of TOML that a setting may be given by mistake or by malice.
VALUES = (
    *("nan", "inf", "-inf", "-1", "0", "1e308", "1e-320", "9" * 400, "0x" + "f" * 400, "true"),
    *('""', '"nan"', r'"\u0000"', r'"\u001b[31m"', r'"\u202e"', f'"{"a" * 5000}"', "'''\n'''"),
    *("[]", "[[[]]]", '[1, "a", nan]', "{}", "{a = {a = {a = 1}}}", "[" * 300 + "]" * 300),
    *("1979-05-27T07:32:00Z", "07:32:00", r'"\U0010ffff"', "9223372036854775808"),
)
SWEEP = "[space.lr]\nlow = 0.1\nhigh = 1.0\n"
TABLES = {
    "[[stage]]": {"name": '"a"', "run": "{}"},
    "[[claim]]": {
        "metric": '"test_accuracy"',
        "at_least": "0.5",
        "at_most": "0.5",
        "about": '"a"',
        "stage": '"a"',
        "run": "{}",
    },
    "[ensemble]": {"seeds": "2", "tta": '"flip"'},
    "[gpu]": {"lr": "0.1"},
    "[sweep]": dict.fromkeys(("name", "trials", "sampler", "pruner", "startup", "timeout"), "1"),
    "[space.lr]": {"low": "0.1", "high": "1.0", "step": "0.1", "log": "true", "choices": "[1]"},
    "[space.batch_size]": {"low": "1", "high": "9", "step": "1", "log": "true", "choices": "[1]"},
    "[promote]": {"epochs": "1", "lr": "0.1"},
}
SETTINGS = b'[keys]\n"train.start" = "x"\nquit = "ctrl+q"\n'


def run(tally: Tally, tries: int) -> None:
    kinds = _recipes() | _sweeps() | _others()
    total = sum(map(len, kinds.values()))
    for read, files in kinds.items():
        read_all(tally, spread(files, -(-tries * len(files) // total)), read)


def _read_recipe(path: Path) -> None:
    recipe = recipes.read_recipe(path)
    Plan.from_recipe(recipe)
    recipes.to_toml(recipe.config())


def _read_sweep(path: Path) -> None:
    spec.to_toml(spec.read_file(path))


def _read_plan(path: Path) -> None:
    plan = Plan.from_file(path)
    assert (plan.next is None) == (not plan.remaining)
    plan.to_json()


def _read_settings(path: Path) -> None:
    settings = Settings.load(path.parent)
    settings.check_keys({"quit"}, lambda keymap: "")
    faults = [fault for line in settings.warnings for fault in find_unsafe_lines(line)]
    assert not faults, faults[0]


Kinds = dict[Callable[[Path], None], list[HostileFile]]


def _recipes() -> Kinds:
    files = _hostile_toml()
    for path in sorted(recipes.shipped_folder("configs").glob("*.toml")):
        files += _damaged(path, 150)
    for key in (*run_config.FIELDS, *recipes.KEYS):
        where = "" if key in recipes.KEYS else "[run]\n"
        files += [_toml(f"{key} = {value[:30]}", f"{where}{key} = {value}\n") for value in VALUES]
    return {_read_recipe: files + _tables("[[stage]]", "[[claim]]", "[ensemble]", "[gpu]")}


def _sweeps() -> Kinds:
    files = _hostile_toml()
    for path in sorted(recipes.shipped_folder("configs").glob("sweeps/*.toml")):
        files += _damaged(path, 150)
    for key in run_config.FIELDS:
        for value in VALUES:
            choices = f"[space.{key}]\nchoices = [{value}, {value}]\n"
            files += [
                _toml(f"choices of {key}: {value[:30]}", choices),
                _toml(f"promote {key}: {value[:30]}", f"{SWEEP}[promote]\n{key} = {value}\n"),
            ]
    return {
        _read_sweep: files + _tables("[sweep]", "[space.lr]", "[space.batch_size]", "[promote]")
    }


def _others() -> Kinds:
    plan = Plan.for_seeds(RunConfig(), 2).to_json().encode()
    view = json.dumps({"renderer": "ascii", "zoom": "2"}).encode()
    return {
        _read_plan: [
            *mutations("plan", "plan.json", plan, 400),
            *(file_of(f"plan, {what}", "plan.json", data) for what, data in json_variants(plan)),
        ],
        _read_settings: [
            *mutations(VIEW, VIEW, view, 150),
            *(file_of(f"{VIEW}, {what}", VIEW, data) for what, data in json_variants(view)),
            *mutations(KEYS, KEYS, SETTINGS, 150),
            *(file_of(f"key = {value[:30]}", KEYS, _key(value)) for value in VALUES),
        ],
    }


def _key(value: str) -> bytes:
    return f"[keys]\nquit = {value}\n".encode()


def _toml(what: str, text: str) -> HostileFile:
    return file_of(what, "config.toml", text.encode())


def _damaged(path: Path, count: int) -> list[HostileFile]:
    data = path.read_bytes()
    return [
        *mutations(path.name, "config.toml", data, count),
        *truncations(path.name, "config.toml", data),
    ]


def _tables(*names: str) -> list[HostileFile]:
    """Every key of these tables with every value, the other keys with good ones."""
    files = []
    for name in names:
        for key in TABLES[name]:
            for value in VALUES:
                rest = {other: good for other, good in TABLES[name].items() if other != key}
                lines = "\n".join(f"{each} = {what}" for each, what in {key: value, **rest}.items())
                alone = f"{name}\n{key} = {value}\n"
                tail = SWEEP if name in ("[sweep]", "[promote]") else ""
                files.append(_toml(f"{name} {key} = {value[:30]}", f"{tail}{name}\n{lines}\n"))
                files.append(_toml(f"{name} {key} = {value[:30]} alone", f"{tail}{alone}"))
    return files


def _hostile_toml() -> list[HostileFile]:
    """Files in other encodings, too large, too deep, of too many parts, or of huge numbers."""
    good = "[run]\nlr = 0.1\n"
    texts = {
        "twice": good + good,
        "one key twice": good + "lr = 0.1\n",
        "NUL": good + "\0",
        "deep lists": "a = " + "[" * 100_000,
        "deep tables": "a = " + "{a = " * 5_000 + "1" + "}" * 5_000,
        "a long header": "[" + "a." * 100_000 + "a]\n",
        "a long key": "a." * 200_000 + "a = 1\n",
        "a long quoted key": '"a"."#".' * 50_000 + "a = 1\n",
        "many keys": "".join(f"k{number} = 1\n" for number in range(80_000)),
        "many stages": "[[stage]]\n" * 90_000,
        "many claims": "[[claim]]\n" * 90_000,
        "many tables": "".join(f"[a.{number}]\n" for number in range(70_000)),
        "many choices": f"[space.lr]\nchoices = [{', '.join(map(str, range(90_000)))}]\n",
        "many escapes": 'about = "' + "\\u0041" * 160_000 + '"\n',
        "a long text": 'about = "' + "a" * 1_000_000 + '"\n',
        "a long whole number": "seeds = " + "9" * 1_000_000 + "\n",
        "a long number": "seeds = " + "9" * 900_000 + ".1\n",
        "a comment of 3 MB": "#" * 3_000_000,
        "a grid": "[sweep]\nsampler = 'grid'\n[space.lr]\nlow = 0.0\nhigh = 1.0\nstep = 1e-12\n",
    }
    return [
        *(_toml(what, text) for what, text in texts.items()),
        file_of("nothing", "config.toml", b""),
        file_of("a byte order mark", "config.toml", b"\xef\xbb\xbf" + good.encode()),
        file_of("UTF-16", "config.toml", good.encode("utf-16")),
        file_of("Latin-1", "config.toml", good.encode() + b"recipe = '\xe9'\n"),
    ]


CONCERN = Concern("configs", run, short=150, full=10_000)
