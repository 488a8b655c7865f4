"""The HTML pages: the dashboard, and the reasons why there is none."""

from __future__ import annotations

import html
from pathlib import Path

from aiohttp import web

_HERE = Path(__file__).parent
# Files of the dashboard's page, besides textual-serve's
ASSETS = (_HERE / "page.css", _HERE / "page.js")
FONT_PIXELS = 15


def dashboard_page(socket_url: str) -> web.Response:
    """A terminal that connects to the websocket."""
    return _render("dashboard.html", 200, socket=socket_url, font_size=str(FONT_PIXELS))


def refusal_page(reason: str) -> web.Response:
    return _render("notice.html", 403, title="Access denied", reason=reason)


def limit_page(limit: int) -> web.Response:
    """The answer when the limit of open dashboards is reached."""
    count = "One dashboard is" if limit == 1 else f"{limit} dashboards are"
    reason = f"{count} open already, which is the limit. Close one and try again."
    return _render("notice.html", 503, title="Too many dashboards", reason=reason)


def _render(name: str, status: int, **values: str) -> web.Response:
    text = (_HERE / name).read_text(encoding="utf-8")
    for key, value in values.items():
        text = text.replace(f"{{{{ {key} }}}}", html.escape(value, quote=True))
    return web.Response(text=text, status=status, content_type="text/html")
