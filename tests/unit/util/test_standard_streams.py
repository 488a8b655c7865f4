"""Standard streams that are closed, full, or lack characters."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PREPARE = "from fmnist_tui.util.standard_streams import prepare_streams\nprepare_streams()\n"


def run(script: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run a script after `prepare_streams`, in a new process."""
    return subprocess.run(
        [sys.executable, "-c", PREPARE + script, *map(str, arguments)],
        env={**os.environ, **environment},
        capture_output=True,
        timeout=60,
    )


def run_closed(script: str, redirections: str, *arguments: object) -> int:
    """Run a script after `prepare_streams`, with streams closed; the exit status."""
    command = [sys.executable, "-c", PREPARE + script, *map(str, arguments)]
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {redirections}', "sh", *command], timeout=60
    ).returncode


@pytest.mark.parametrize("redirections", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_no_file_takes_the_place_of_a_closed_stream(tmp_path: Path, redirections: str) -> None:
    script = (
        "import os, sys\n"
        "file = open(sys.argv[1], 'w')\n"
        "print('printed', flush=True)\n"
        "print('printed', file=sys.stderr)\n"
        "for number in (1, 2): os.write(number, b'by a library')\n"
        "assert sys.stdin.read() == '' if '<' in sys.argv[2] else True\n"
        "file.write('own text')"
    )
    file = tmp_path / "file"
    assert run_closed(script, redirections, file, redirections) == 0
    assert file.read_text() == "own text"


def test_a_process_inherits_the_replacement_of_a_closed_stream() -> None:
    child = "import sys; sys.exit(None in (sys.stdin, sys.stdout, sys.stderr))"
    script = f"import subprocess, sys\nsys.exit(subprocess.call([sys.executable, '-c', {child!r}]))"
    assert run_closed(script, "<&- >&- 2>&-") == 0


def test_notes_that_cannot_be_written_are_lost_and_nothing_else_happens(tmp_path: Path) -> None:
    script = "import sys\nfor _ in range(2): print('note', file=sys.stderr, flush=True)"
    for target in ("2>/dev/full", "2>&1 | exec true"):
        done = tmp_path / "done"
        assert run_closed(f"{script}\nopen(sys.argv[1], 'w')", target, done) == 0
        done.unlink()


MAIN = "import sys\nfrom fmnist_tui.cli import main\nsys.exit(main.run(sys.argv[1:]))"


@pytest.mark.parametrize("words", [["recipes", "list", "--json"], ["recipes", "show", "one-conv"]])
def test_a_result_that_cannot_be_written_names_standard_output(words: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", PREPARE + MAIN, *words],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    assert done.stderr == (
        "fmnist-tui: standard output cannot be written: No space left on device\n"
    )
    assert done.returncode == 1


def test_output_that_nobody_reads_any_more_ends_quietly() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-c", PREPARE + MAIN, "recipes", "list", "--json"]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


def test_output_to_a_terminal_that_is_gone_is_lost() -> None:
    script = (
        "import sys\n"
        "print('ready', flush=True)\n"
        "sys.stdin.read()\n"
        "assert not sys.stdout.isatty()\n"
        "for stream in (sys.stdout, sys.stderr): print('text', file=stream, flush=True)\n"
    )
    screen, terminal = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", PREPARE + script],
        stdin=subprocess.PIPE,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )
    os.close(terminal)
    assert os.read(screen, 64).startswith(b"ready")
    os.close(screen)
    process.communicate(timeout=60)
    assert process.returncode == 0


TEXT = r"'98 % \u2013 \u201cShirt\u201d \u2192 Caf\u00e9 \u2588 \u2717 \u304a \udcff'"


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("ascii", b'98 % - "Shirt" > Cafe # x ? ?'),
        ("cp1252", b"98 % \x96 \x93Shirt\x94 > Caf\xe9 # x ? ?"),
        ("utf-8", "98 % – “Shirt” → Café █ ✗ お ?".encode()),
    ],
)
def test_characters_that_an_encoding_lacks_become_similar_ones(
    encoding: str, expected: bytes
) -> None:
    script = f"import sys\nprint({TEXT})\nprint({TEXT}, file=sys.stderr)"
    done = run(script, PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr.strip()) == (0, expected)
    # A result has the true byte of what is no character.
    assert done.stdout.strip() == expected[:-1] + b"\xff"


def test_characters_are_replaced_in_an_ascii_locale() -> None:
    done = run(f"print({TEXT})", LC_ALL="C", PYTHONCOERCECLOCALE="0", PYTHONUTF8="0")
    assert done.stdout.strip() == b'98 % - "Shirt" > Cafe # x ? \xff'


def test_a_result_in_a_file_has_the_true_bytes_of_names_and_a_note_has_not() -> None:
    script = "import sys\nname = 'caf\\udce9 \\ud800'\nprint(name)\nprint(name, file=sys.stderr)"
    done = run(script, PYTHONIOENCODING="utf-8")
    assert done.stdout == b"caf\xe9 ?\n"
    assert done.stderr == b"caf? ?\n"
