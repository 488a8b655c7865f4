"""What shells complete."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fmnist_tui.cli import main
from fmnist_tui.cli.commands.completion import FILES, SCRIPTS
from fmnist_tui.util import paths
from tests.tui.support import make_run

BASH = """
eval "$(fmnist-tui completion bash)"
COMP_WORDS=(fmnist-tui "$@"); COMP_CWORD=$#
_fmnist_tui; printf '%s\\n' "${COMPREPLY[@]}"
"""
FISH = """
fmnist-tui completion fish | source
complete -C "fmnist-tui $argv"
"""
ZSH = """
compdef() { :; }
# Stands for what zsh does with the candidates.
compadd() { print -rl -- "${(@P)@[-1]}"; }
eval "$(fmnist-tui completion zsh)"
words=(fmnist-tui "$@"); CURRENT=$#words
_fmnist_tui
"""


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(paths.RUNS_VARIABLE, str(tmp_path / "runs"))


def complete(capsys: pytest.CaptureFixture[str], *words: str, shell: str = "fish") -> list[str]:
    main.run(["completion", shell, "--", *words])
    return [line.partition("\t")[0] for line in capsys.readouterr().out.splitlines()]


def test_commands_options_and_their_values_are_completed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert complete(capsys, "tr") == ["train"]
    assert set(complete(capsys, "runs", "")) >= {"list", "show", "compare"}
    assert "--model" in complete(capsys, "train", "--mo")
    assert complete(capsys, "train", "--model", "two") == ["two-conv"]
    assert complete(capsys, "train", "--schedule=one") == ["--schedule=onecycle"]
    assert complete(capsys, "errors", "last", "--true", "T-") == ["T-shirt/top"]
    assert complete(capsys, "data", "get", "fa") == ["fashion"]
    assert complete(capsys, "sweep", "two") == ["two-conv"]
    assert complete(capsys, "--asc") == ["--ascii"]
    assert complete(capsys, "no-such-command", "") == []
    # bash replaces only what follows the last = or :
    assert complete(capsys, "train", "--schedule", "=", "one", shell="bash") == ["onecycle"]
    assert complete(capsys, "errors", "last", "--true", "An", shell="bash") == ["'Ankle boot'"]


def test_recipes_and_runs_are_completed_and_files_where_they_may_be_meant(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run = make_run(tmp_path / "runs")
    assert "two-conv" in complete(capsys, "train", "")
    assert complete(capsys, "runs", "compare", "last", "") == ["last", run.id, run.name]
    assert complete(capsys, "evaluate", run.name[:5]) == [run.name]
    assert complete(capsys, "evaluate", "--runs", str(tmp_path), "20") == []
    assert main.run(["completion", "bash", "--", "predict", "last", ""]) == FILES
    assert main.run(["completion", "bash", "--", "train", "--lr", ""]) == 0


def test_completing_imports_nothing_heavy() -> None:
    code = (
        "import sys; from fmnist_tui.cli import main;"
        " main.run(['completion', 'fish', '--', 'train', '--model', '']);"
        " print([name for name in ('torch', 'textual', 'optuna', 'PIL') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines()[-1] == "[]" and "two-conv" in shown.stdout


@pytest.mark.apt
@pytest.mark.parametrize(("shell", "code"), [("bash", BASH), ("zsh", ZSH), ("fish", FISH)])
def test_each_shell_completes_with_its_script(shell: str, code: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"needs the program {shell}")
    # Stands for the program: what it answers is tried above, what it is asked here.
    program, script, asked = tmp_path / "fmnist-tui", tmp_path / "script", tmp_path / "asked"
    script.write_text(SCRIPTS[shell])
    program.write_text(
        f"#!/bin/sh\nif [ $# = 2 ]; then cat {script}; exit; fi\n"
        f"printf '%s\\n' \"$@\" > {asked}; printf -- '--schedule\\tthe rates\\n'\n"
    )
    program.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    name = [] if shell == "fish" else [shell]
    shown = subprocess.run(
        [shell, "-c", code, *name, "train", "--sched"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "--schedule" in shown.stdout, shown.stderr
    assert asked.read_text().split() == ["completion", shell, "--", "train", "--sched"]
