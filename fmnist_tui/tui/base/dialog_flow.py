"""Async methods that ask the user several things in a row."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Concatenate, ParamSpec, TypeVar

from textual.app import App
from textual.dom import DOMNode
from textual.screen import Screen
from textual.worker import Worker

from fmnist_tui.util.errors import UserError, format_error

P = ParamSpec("P")
Node = TypeVar("Node", bound=DOMNode)
Result = TypeVar("Result")
Flow = Coroutine[Any, Any, None]


def dialog_flow(
    method: Callable[Concatenate[Node, P], Flow],
) -> Callable[Concatenate[Node, P], None]:
    """Turn an async method of a widget or screen into one that starts it as a worker.

    Unlike Textual's `@work` it runs up to the first `await` at once: the dialog that it opens
    there gets the next key, even if it was typed before the dialog was drawn. A
    UserError or OSError in the method becomes a toast."""

    @functools.wraps(method)
    def start(self: Node, /, *args: P.args, **kwargs: P.kwargs) -> None:
        start_flow(self, method(self, *args, **kwargs))

    return start


def start_flow(node: DOMNode, flow: Flow) -> None:
    """Run `flow` up to its first `await` at once, and the rest as a worker of `node`."""
    flow = _show_errors(node, flow)
    try:
        waiting_for = flow.send(None)
    except StopIteration:
        return
    _: Worker[None] = node.run_worker(_Rest(flow, waiting_for).run, group="dialog flow")


async def _show_errors(node: DOMNode, flow: Flow) -> None:
    try:
        await flow
    except (UserError, OSError) as error:
        line = str(error).split("\n")[0] if isinstance(error, UserError) else format_error(error)
        node.app.notify(line, severity="error")


async def ask(app: App[Any], dialog: Screen[Result]) -> Result | None:
    """Open a dialog and wait for its result; None if it is cancelled."""
    answer: asyncio.Future[Result | None] = asyncio.get_running_loop().create_future()

    def on_result(result: Result | None) -> None:
        if not answer.done():
            answer.set_result(result)

    app.push_screen(dialog, on_result)
    return await answer


class _Rest:
    """The rest of a coroutine that already waits at its first `await`."""

    def __init__(self, flow: Flow, waiting_for: Any) -> None:
        self._flow, self._waiting_for = flow, waiting_for

    async def run(self) -> None:
        await self

    def __await__(self) -> Generator[Any, Any, None]:
        waiting_for = self._waiting_for
        while True:
            try:
                value = yield waiting_for
            except BaseException as error:  # noqa: BLE001 - cancellation included
                resume = functools.partial(self._flow.throw, error)
            else:
                resume = functools.partial(self._flow.send, value)
            try:
                waiting_for = resume()
            except StopIteration:
                return
