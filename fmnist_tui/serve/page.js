// Complements textual-serve's script: a font that fits narrow windows, and keyboard focus in the
// terminal from the start.
"use strict";

const COLUMNS = 80, LETTER_WIDTH = 0.602, MIN_FONT = 8;
const terminal = document.querySelector("#terminal");
const preferred = Number(terminal.dataset.fontSize);
const fitting = Math.floor(window.innerWidth / COLUMNS / LETTER_WIDTH);
terminal.dataset.fontSize = String(Math.max(MIN_FONT, Math.min(preferred, fitting)));

function focusTerminal() {
  document.querySelector(".xterm-helper-textarea")?.focus({ preventScroll: true });
}
new MutationObserver(focusTerminal).observe(document.body, { attributeFilter: ["class"] });
window.addEventListener("focus", focusTerminal);
