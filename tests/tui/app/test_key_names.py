"""Every text that names a key asks for the key of a binding, which the user may have changed."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from fmnist_tui.tui import app, key_names
from fmnist_tui.tui.key_names import default_key, key_name, name_keys, set_keymap
from fmnist_tui.tui.tour import app as tour

TUI = Path(app.__file__).parent
OWNERS = (tour.__name__, app.__name__)
VERBS = "shows|stops|ends|evaluates|saves|chooses|trains|opens|resumes|starts|clears|cancels|closes"
LITERAL_KEY = re.compile(
    rf"(?<!')\b(escape|enter|backspace|space|tab|[a-zA-Z0-9])( key)? ({VERBS})\b"
    r"|\bpress (?!any)\w+\b| \([a-zA-Z0-9]\)|\b(escape|tab|backspace):? "
)
# An input ends with enter, whatever the user has set; a sentence may start like this.
ALLOWED = {"type to filter, enter chooses"}


def test_no_text_names_a_key_itself_and_every_id_that_a_text_names_has_a_key() -> None:
    literal, unknown = [], []
    for path in TUI.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                node.value.value = None  # a docstring
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = node.value
                if LITERAL_KEY.search(text) and text not in ALLOWED:
                    literal.append(f"{path.name}:{node.lineno}: {text}")
                asked = re.findall(r"\{([a-z_]+\.[a-z_]+)\}", text)
                unknown += [
                    f"{path.name}: {name}"
                    for name in asked
                    if not (default_key(name) or "task." in name)
                ]
            elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "key_name":
                (name,) = node.args
                named = name.value if isinstance(name, ast.Constant) else ""
                if isinstance(named, str) and named and not default_key(named):
                    unknown.append(f"{path.name}: {named}")
    assert "\n".join([*literal, *unknown]) == ""


def test_a_text_names_the_keys_that_the_user_has_set() -> None:
    before = dict(key_names._changed)
    try:
        set_keymap({"train.stop": "f2,S", "gallery.open": "shift+left"})
        assert name_keys("{train.stop} stops, {no.such} not") == "f2 stops, {no.such} not"
        assert key_name("gallery.open") == "shift+left" and key_name("train.go") == "space"
        set_keymap({})
        assert name_keys("{train.stop}, {gallery.open}") == "s, enter"
    finally:
        set_keymap(before)
