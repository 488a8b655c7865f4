"""What is asked of the terminal beyond drawing."""

from __future__ import annotations

import base64

from fmnist_tui.tui.terminal.osc import (
    copy_through_tmux,
    has_title,
    notification_sequence,
    title_sequence,
)


def test_a_copy_is_wrapped_for_tmux_which_passes_it_on_to_its_terminal() -> None:
    encoded = base64.b64encode("Größe\t1".encode()).decode()
    assert copy_through_tmux("Größe\t1", {"TERM": "xterm-256color"}) == ""
    wrapped = f"\x1bPtmux;\x1b\x1b]52;c;{encoded}\a\x1b\\"
    assert copy_through_tmux("Größe\t1", {"TMUX": "/tmp/tmux-0/default,1,0"}) == wrapped
    assert copy_through_tmux("Größe\t1", {"TERM": "tmux-256color"}) == wrapped


def test_a_title_holds_no_control_and_is_not_sent_to_a_terminal_without_one() -> None:
    assert title_sequence("a\x1b]0;b\ac") == "\x1b]2;a␛]0;b␇c\a"
    assert has_title({"TERM": "xterm"}) and not has_title({"TERM": "linux"})


def test_a_notification_takes_the_form_that_the_terminal_knows() -> None:
    text = "two-conv \x1b finished"
    assert notification_sequence(text, {"TERM": "xterm"}) == (
        "\x1b]9;fmnist-tui: two-conv ␛ finished\a"
    )
    assert notification_sequence("a", {"TERM": "foot"}) == "\x1b]777;notify;fmnist-tui;a\a"
    assert notification_sequence("a", {"TERM": "tmux-256color"}).startswith("\x1bPtmux;\x1b\x1b]9;")
    assert notification_sequence("a", {"TERM": "dumb"}) == "\a"
