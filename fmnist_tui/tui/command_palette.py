"""The command palette: screens, the actions of all screens, recipes and runs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple, cast

from textual import events, on
from textual.await_complete import AwaitComplete
from textual.binding import Binding
from textual.command import CommandList, CommandPalette, DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.dom import DOMNode
from textual.screen import Screen
from textual.theme import ThemeProvider
from textual.widget import Widget
from textual.widgets import Input

from fmnist_tui.config import recipes
from fmnist_tui.runs.listing import list_runs
from fmnist_tui.tui.base.dialogs import ClosedOnce
from fmnist_tui.tui.base.screen import is_visible
from fmnist_tui.tui.bindings import NodeClass, is_movement, is_own, screen_bindings
from fmnist_tui.tui.context import DashboardContext
from fmnist_tui.tui.jobs.recipe_check import check_recipe
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.sequences import match_rank
from fmnist_tui.util.text import safe_text

# What else matches as well is listed below the rest: actions of other screens, what cannot be
# done now, and what only moves something.
_ELSEWHERE, _NOT_NOW, _MOVEMENT = 0.2, 0.4, 0.6
_WIDTH, _NAME_WIDTH = 84, 42


class Entry(NamedTuple):
    """A line of the palette: its name, what is known about it, and what choosing it does."""

    name: str
    about: str
    run: Callable[[], object]
    demotion: float = 0.0


class ActionPalette(CommandPalette, ClosedOnce[None]):
    """Textual's palette as a box, without paging when the terminal has no space for its list."""

    DEFAULT_CSS = f"""
    ActionPalette #--container {{ width: {_WIDTH}; max-width: 94%; }}
    ActionPalette SearchIcon {{ display: none; }}
    ActionPalette CommandInput {{ padding: 0 1; }}
    """

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
        entries = self._actions()
        entries += [
            Entry(f"Go to {tab.title}", f"key {tab.key}", partial(context.show, tab.name))
            for tab in context.tabs
        ]
        about = "two minutes through all screens, on sketches"
        entries.append(Entry("Tour", about, context.action_tour))
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
        entries += self._actions_elsewhere()
        self._entries = sorted(entries, key=lambda entry: entry.demotion)

    def _actions(self) -> list[Entry]:
        """The bindings of the current screen, of its panes and of all screens."""
        entries: dict[str, Entry] = {}
        for owner, binding in screen_bindings(getattr(self.screen, "NAME", "")):
            node = self._node(owner)
            self._add(entries, binding, partial(self._act_in_pane, binding, owner), node)
        for active in self.screen.active_bindings.values():
            binding, node = active.binding, active.node
            if is_own(binding) and not binding.action.startswith(("show(", "command_palette")):
                what = binding.description
                self._add(entries, binding, partial(self._act, what, binding.action, node), node)
        return list(entries.values())

    def _add(
        self,
        entries: dict[str, Entry],
        binding: Binding,
        run: Callable[[], object],
        node: DOMNode | None,
    ) -> None:
        what, key = binding.description, self._key(binding)
        can_do = node is not None and self.app._check_action_state(binding.action, node)
        entry = Entry(what, key if can_do else f"{key}, not now", run, _demotion(binding, can_do))
        if what and (what not in entries or entry.demotion < entries[what].demotion):
            entries[what] = entry

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
                demotion = max(_ELSEWHERE, _demotion(binding))
                entries.setdefault(name, Entry(name, key, run, demotion))
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
        await self._act(binding.description, binding.action, self._node(owner))

    def _node(self, owner: NodeClass) -> DOMNode | None:
        """The screen, or the visible pane, of a class."""
        panes = self.screen.query("*").results(owner) if issubclass(owner, Widget) else ()
        nodes = [self.screen] if isinstance(self.screen, owner) else panes
        return next((each for each in nodes if is_visible(each)), None)

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
            yield DiscoveryHit(self._line(Content(name), about), run, name)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for name, about, run, demotion in self._entries:
            rank, offsets = match_rank(query, name), _find_words(query, name)
            score = 4.0 - rank if rank is not None else 0.0
            if rank is None:
                score, offsets = matcher.fuzzy_search.match(query, name)
                score = score and min(1.0, score / 1000)
            if score:
                label = Content(name)
                for offset in offsets:
                    label = label.stylize(matcher.match_style, offset, offset + 1)
                yield Hit(score - demotion, self._line(label, about), run, name)

    def _line(self, name: Content, about: str) -> Content:
        """The name, and in a second column what is known about it."""
        space = min(_WIDTH, self.app.size.width * 94 // 100) - 6
        width = max(min(_NAME_WIDTH, space), min(name.cell_length, space - len(about) - 2))
        name = name.truncate(width, ellipsis=True)
        name = name.pad_right(width - name.cell_length + 2)
        rest = max(0, space - name.cell_length)
        return name + Content.styled(about, "not bold $foreground-muted").truncate(
            rest, ellipsis=True
        )


def _demotion(binding: Binding, can_do: object = True) -> float:
    if is_movement(binding):
        return _MOVEMENT
    return 0.0 if can_do else _NOT_NOW


def _find_words(query: str, name: str) -> Sequence[int]:
    """Where the words of the query are in the name."""
    name = name.lower()
    found = [(name.find(word), len(word)) for word in query.lower().split()]
    return [at + offset for at, length in found if at >= 0 for offset in range(length)]


def _about(name: str) -> str:
    try:
        return safe_text(recipes.load_recipe(name).about.split("\n")[0])
    except Exception:  # noqa: BLE001 - a broken recipe must not empty the palette
        return ""
