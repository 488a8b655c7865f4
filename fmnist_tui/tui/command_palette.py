"""The command palette: screens, the actions of all screens, recipes and runs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple, cast

from textual import events, on
from textual.await_complete import AwaitComplete
from textual.binding import Binding
from textual.command import CommandList, CommandPalette, DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.dom import DOMNode
from textual.fuzzy import Matcher
from textual.screen import Screen
from textual.theme import ThemeProvider
from textual.widget import Widget
from textual.widgets import Input

from fmnist_tui.config import recipes
from fmnist_tui.runs.listing import list_runs
from fmnist_tui.tui.base.dialogs import ClosedOnce
from fmnist_tui.tui.base.screen import is_visible
from fmnist_tui.tui.bindings import NodeClass, screen_bindings
from fmnist_tui.tui.context import DashboardContext
from fmnist_tui.tui.jobs.recipe_check import check_recipe
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.text import safe_text

# Entries about other screens are listed below all that match as well.
_ELSEWHERE = 0.5


class Entry(NamedTuple):
    """A line of the palette: its name, what is known about it, and what choosing it does."""

    name: str
    about: str
    run: Callable[[], object]
    weight: float = 1.0


class ActionPalette(CommandPalette, ClosedOnce[None]):
    """Textual's palette, without paging when the terminal has no space for its list."""

    def _action_command_list(self, action: str) -> None:
        has_space = self.query_one(CommandList).scrollable_content_region.height > 0
        if has_space or not action.startswith("page"):
            super()._action_command_list(action)

    def dismiss(self, result: None = None) -> AwaitComplete:
        if self.app.screen is self:
            # The search would go on while its list is being removed.
            self.workers.cancel_node(self)
        return super().dismiss(result)

    def validate__calling_screen(self, _: Screen[object] | None) -> Screen[object]:
        """Textual takes the one below the top: this screen, if a dialog has opened above it."""
        stack = self.app.screen_stack
        return stack[stack.index(self) - 1]

    @on(events.Mount)
    def _ignore_late_mount(self, event: events.Mount) -> None:
        """Textual looks for the screen below; a palette that has already closed has none."""
        if self not in self.app.screen_stack:
            event.prevent_default()

    @on(Input.Changed)
    def _ignore_late_input(self, event: Input.Changed) -> None:
        """A change may arrive after the palette has closed, when its list is gone."""
        if self.app.screen is not self:
            event.prevent_default()
            event.stop()

    @on(events.Click)
    def _ignore_late_click(self, event: events.Click) -> None:
        """Textual looks for what is there, where the terminal may have ended since."""
        if not self.region.contains(event.screen_x, event.screen_y):
            event.prevent_default()


class PaletteCommands(Provider):
    """Everything that can be done from here, by name."""

    @property
    def _context(self) -> DashboardContext:
        return cast("DashboardContext", self.app)

    async def _wait_init(self) -> None:
        # A search ends when more is typed; that must not cancel `startup`.
        if self._init_task is not None:
            await asyncio.shield(self._init_task)

    async def startup(self) -> None:
        context = self._context
        entries: list[Entry] = [
            Entry(f"Go to {tab.title}", f"key {tab.key}", partial(context.show, tab.name))
            for tab in context.tabs
        ]
        entries += self._actions()
        entries.append(Entry("Theme…", "choose the colours", self._choose_theme))
        # An unreadable folder must not empty the palette.
        with contextlib.suppress(UserError):
            for name in recipes.recipe_names():
                edit, shown = partial(context.edit_recipe, name), safe_text(name, 80)
                entries.append(Entry(f"Recipe: {shown}", _about(name), edit))
                words = "train it with several seeds and check its claims"
                check = partial(self._check, name)
                entries.append(Entry(f"Check recipe: {shown}", words, check))
        with contextlib.suppress(UserError):
            for summary in await asyncio.to_thread(list_runs, context.app_state.runs_dir):
                has_val = summary.best_val_accuracy is not None
                about = summary.state + (f", {summary.val_text} val" if has_val else "")
                name = safe_text(summary.run.name, 80)
                open_run = partial(context.open_listed_run, summary)
                entries.append(Entry(f"Run: {name}", about, open_run))
        self._entries = [*entries, *self._actions_elsewhere()]

    def _actions(self) -> list[Entry]:
        """The bindings of the focused pane and of the current screen, those that work first."""
        entries: dict[str, Entry] = {}
        for active in self.screen.active_bindings.values():
            what, action = active.binding.description, active.binding.action
            if what and active.enabled and not action.startswith("show("):
                run = partial(self._act, what, action, active.node)
                entries.setdefault(what, Entry(what, self._key(active.binding), run))
        for owner, binding in screen_bindings(getattr(self.screen, "NAME", "")):
            what = binding.description
            run = partial(self._act_in_pane, binding, owner)
            entries.setdefault(what, Entry(what, self._key(binding), run))
        return list(entries.values())

    def _actions_elsewhere(self) -> list[Entry]:
        """The bindings of the other screens. Choosing one shows its screen, and tells the key:
        what it would act on is not visible from here."""
        entries: dict[str, Entry] = {}
        for tab in self._context.tabs:
            if tab.name == getattr(self.screen, "NAME", ""):
                continue
            for _, binding in screen_bindings(tab.name):
                name, key = f"{tab.title}: {binding.description}", self._key(binding)
                run = partial(self._show_key, tab.name, f"{binding.description}: {key}")
                entries.setdefault(name, Entry(name, key, run, _ELSEWHERE))
        return list(entries.values())

    def _key(self, binding: Binding) -> str:
        """`key s`, as the user has set it."""
        keys = self._context.app_state.settings.keymap.get(binding.id or "", binding.key)
        first, *_ = Binding.make_bindings([replace(binding, key=keys)])
        return f"key {self.app.get_key_display(first)}"

    async def _act(self, what: str, action: str, node: DOMNode | None) -> None:
        if node is None or not await self.app.run_action(action, default_namespace=node):
            self._context.notify(f"not possible now: {what}", "warning")

    async def _act_in_pane(self, binding: Binding, owner: NodeClass) -> None:
        """Act in the pane of a class, whether it has the focus or not."""
        panes = self.screen.query("*").results(owner) if issubclass(owner, Widget) else ()
        nodes = [self.screen] if isinstance(self.screen, owner) else panes
        node = next((each for each in nodes if is_visible(each)), None)
        await self._act(binding.description, binding.action, node)

    def _show_key(self, screen: str, hint: str) -> None:
        self._context.show(screen)
        self._context.notify(hint)

    def _choose_theme(self) -> None:
        self.app.push_screen(
            ActionPalette(providers=[ThemeProvider], placeholder="Search for themes…")
        )

    def _check(self, name: str) -> None:
        self._context.start_flow(check_recipe(self._context, name))

    async def discover(self) -> Hits:
        for name, about, run, _ in self._entries:
            yield DiscoveryHit(Content(name), run, name, help=escape_markup(about))

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for name, about, run, weight in self._entries:
            score = matcher.match(name) * weight
            if score > 0:
                yield Hit(score, _highlight(matcher, name), run, name, help=escape_markup(about))


def _highlight(matcher: Matcher, name: str) -> Content:
    """The name with the letters that match; Textual's own function takes it for markup."""
    label = Content(name)
    for offset in matcher.fuzzy_search.match(matcher.query, name)[1]:
        label = label.stylize(matcher.match_style, offset, offset + 1)
    return label


def escape_markup(text: str) -> str:
    """The text, with brackets escaped for Textual's markup."""
    return text.replace("[", "\\[")


def _about(name: str) -> str:
    try:
        return safe_text(recipes.load_recipe(name).about.split("\n")[0])
    except Exception:  # noqa: BLE001 - a broken recipe must not empty the palette
        return ""
