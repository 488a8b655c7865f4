"""What `predict --csv` prints of a file whose name controls terminals."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from argparse import Namespace
from pathlib import Path

import pytest

from fmnist_tui.cli.commands import predict
from fmnist_tui.engine.inference.predict import Prediction

NAME = "[x]\x1b]0;t\x07.png"


@pytest.mark.parametrize(("terminal", "shown"), [(True, "[x]␛]0;t␇.png"), (False, NAME)])
def test_csv_on_a_terminal_is_safe_to_show_and_exact_in_a_file(
    terminal: bool, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.StringIO()
    stream.isatty = lambda: terminal  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stdout", stream)
    predict._print(Prediction(Path(NAME), (("Shirt", 0.75),)), Namespace(csv=True, json=False))
    assert [*csv.reader([stream.getvalue()])] == [[shown, "Shirt", "0.75", ""]]


def test_names_that_are_no_text_have_their_true_bytes_in_json() -> None:
    name = b"caf\xe9.png"
    row = json.loads(json.dumps(predict._to_json(Prediction(Path(os.fsdecode(name))))))
    assert os.fsencode(row["file"]) == name
