// What textual-serve's script leaves to the page: letters small enough for a narrow window,
// and the keyboard in the terminal from the start.
"use strict";

const COLUMNS = 80, WIDTH_OF_A_LETTER = 0.602, SMALLEST = 8;
const terminal = document.querySelector("#terminal");
const usual = Number(terminal.dataset.fontSize);
const fitting = Math.floor(window.innerWidth / COLUMNS / WIDTH_OF_A_LETTER);
terminal.dataset.fontSize = String(Math.max(SMALLEST, Math.min(usual, fitting)));

function takeKeys() {
  document.querySelector(".xterm-helper-textarea")?.focus({ preventScroll: true });
}
new MutationObserver(takeKeys).observe(document.body, { attributeFilter: ["class"] });
window.addEventListener("focus", takeKeys);
