"""`fmnist-tui completion SHELL`: print what makes a shell complete the program's arguments.

The shell then asks `fmnist-tui completion SHELL -- WORD…`, which prints the candidates for the last
word, and ends with the status FILES if file names may be meant.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator, Sequence
from itertools import pairwise

from fmnist_tui.cli.main import build_parser
from fmnist_tui.cli.reference import candidates
from fmnist_tui.cli.support import console
from fmnist_tui.util.text import safe_text

# The exit status that has the shell complete names of files.
FILES = 3
_BASH_BREAKS = ("=", ":")
_BASH = """\
# fmnist-tui for bash: eval "$(fmnist-tui completion bash)" in ~/.bashrc
_fmnist_tui() {
    local IFS=$'\\n'
    COMPREPLY=($(fmnist-tui completion bash -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
    case $? in 3) compopt -o default -o filenames 2>/dev/null ;; esac
    case ${COMPREPLY[0]-} in *=) compopt -o nospace 2>/dev/null ;; esac
}
complete -F _fmnist_tui fmnist-tui
"""
_ZSH = """\
#compdef fmnist-tui
# fmnist-tui for zsh: eval "$(fmnist-tui completion zsh)" in ~/.zshrc, after compinit
_fmnist_tui() {
    local output file_status line
    local -a names shown
    output=$(fmnist-tui completion zsh -- "${(@Q)words[2,CURRENT]}" 2>/dev/null)
    file_status=$?
    for line in ${(f)output}; do
        names+=("${line%%$'\\t'*}")
        shown+=("${line/$'\\t'/  }")
    done
    (( $#names )) && compadd -l -d shown -a names
    (( file_status == 3 )) && _files
    return 0
}
if [[ ${funcstack[1]-} == _fmnist_tui ]]; then
    _fmnist_tui "$@"
else
    compdef _fmnist_tui fmnist-tui
fi
"""
_FISH = """\
# fmnist-tui for fish: fmnist-tui completion fish > ~/.config/fish/completions/fmnist-tui.fish
function __fmnist_tui
    set -l words (commandline -opc)
    set -l word (commandline -ct)
    fmnist-tui completion fish -- $words[2..-1] "$word" 2>/dev/null
    test $status -eq 3; and __fish_complete_path "$word"
end
complete -c fmnist-tui -f -a '(__fmnist_tui)'
"""
SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    about = "the shell: its start-up file evaluates what is printed"
    parser.add_argument("shell", metavar="SHELL", choices=tuple(SCRIPTS), help=about)
    parser.add_argument("words", nargs="*", help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    if args.words:
        return _print_candidates(args.shell, args.words)
    console.drawing([SCRIPTS[args.shell].rstrip("\n")])
    return 0


def _print_candidates(shell: str, words: Sequence[str]) -> int:
    """Print the candidates for the last of these words, with what they are where the shell shows
    it; the status says whether files may do."""
    words = list(_join_words(words) if shell == "bash" else words)
    word = words[-1]
    command = next((each for each in words[:-1] if not each.startswith("-")), None)
    if command is None and word.startswith("-"):
        # Options without a command are those of the dashboard.
        command, words = "dashboard", ["dashboard", *words]
    found = candidates.complete(build_parser(command), words)
    # bash replaces only what follows the last of these.
    kept = max(word.rfind(sign) for sign in _BASH_BREAKS) + 1 if shell == "bash" else 0
    for name, about in found.words:
        if safe_text(name) == name:
            shown = shlex.quote(name[kept:]) if shell == "bash" else f"{name}\t{about}".rstrip()
            console.drawing([shown])
    return FILES if found.files else 0


def _join_words(words: Sequence[str]) -> Iterator[str]:
    """The words that bash has split at = and :"""
    current = words[0]
    for before, word in pairwise(words):
        if word in _BASH_BREAKS or before in _BASH_BREAKS:
            current += word
        else:
            yield current
            current = word
    yield current
