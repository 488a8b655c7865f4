"""The few pages there are: the dashboard's own, and those that say why there is none."""

from __future__ import annotations

import html
from pathlib import Path

from aiohttp import web

_HERE = Path(__file__).parent
# What the dashboard's page is made of besides textual-serve's own files
PARTS = (_HERE / "page.css", _HERE / "page.js")
FONT_PIXELS = 15


def dashboard(socket: str) -> web.Response:
    """The terminal in the page, which opens a websocket to `socket`."""
    return _page("dashboard.html", 200, socket=socket, font_size=str(FONT_PIXELS))


def refused(why: str) -> web.Response:
    """Nothing here for whoever asks so."""
    return _page("notice.html", 403, title="Not here", why=why)


def full(places: int) -> web.Response:
    """No place is free."""
    many = "one dashboard is" if places == 1 else f"{places} dashboards are"
    why = f"{many.capitalize()} open already, and no more are let in. Close one and try again."
    return _page("notice.html", 503, title="No place is free", why=why)


def _page(name: str, status: int, **words: str) -> web.Response:
    text = (_HERE / name).read_text(encoding="utf-8")
    for key, word in words.items():
        text = text.replace(f"{{{{ {key} }}}}", html.escape(word, quote=True))
    return web.Response(text=text, status=status, content_type="text/html")
