"""``kt completion``: scripts by which shells complete the command line, made of the table of commands."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from kt_core.commands.arguments import Argument
from kt_core.commands.console import OK, Console
from kt_core.commands.table import COMMANDS, COMMON, SERVE, SERVE_HELP, Command

_URLS: Final = ("kt://127.0.0.1:1978", "kt+unix:///", "tt://127.0.0.1:1978", "tt+unix:///", "embedded://")


def completion(given: argparse.Namespace, console: Console) -> int:
    """Write the script of a shell."""
    console.stdout.write("".join(f"{line}\n" for line in _SCRIPTS[given.shell]()).encode())
    return OK


def _options(arguments: list[Argument]) -> Iterator[Argument]:
    return (each for each in arguments if each.names[0].startswith("-"))


def _words(command: Command) -> list[str]:
    """Return what may stand behind the name of a command, besides keys and files."""
    choices = [word for each in command.arguments for word in each.options.get("choices", ())]
    return [*choices, *(name for each in _options([*command.arguments, *COMMON]) for name in each.names), "--help"]


def _takes_value(each: Argument) -> bool:
    return each.options.get("action") != "store_true"


def _bash() -> Iterator[str]:
    yield "_kt() {"
    yield '    local word="${COMP_WORDS[COMP_CWORD]}" command="" each words'
    yield '    for each in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do'
    yield f'        case "$each" in {"|".join([*COMMANDS, SERVE])}) command="$each"; break;; esac'
    yield "    done"
    # The shell takes the colon of a URL for the end of a word, and then completes what is behind it.
    yield '    local line="${COMP_LINE:0:COMP_POINT}"; local last="${line##* }" before="${line% *}"'
    yield '    if [[ "$before" == *--at ]]; then'
    yield f'        COMPREPLY=($(compgen -W "{" ".join(_URLS)}" -- "$last"))'
    yield '        if [[ "$last" == *:* && "$COMP_WORDBREAKS" == *:* ]]; then'
    yield '            local head="${last%"${last##*:}"}" at'
    yield '            for at in "${!COMPREPLY[@]}"; do COMPREPLY[at]="${COMPREPLY[at]#"$head"}"; done'
    yield "        fi"
    yield "        return"
    yield "    fi"
    yield '    case "$command" in'
    for name, command in COMMANDS.items():
        yield f'        {name}) words="{" ".join(_words(command))}";;'
    yield f'        "") words="{" ".join([*COMMANDS, SERVE, *(each.names[0] for each in COMMON), "--help"])}";;'
    yield '        *) words="";;'
    yield "    esac"
    yield '    COMPREPLY=($(compgen -W "$words" -- "$word"))'
    yield "}"
    yield "complete -o default -F _kt kt"


def _zsh() -> Iterator[str]:
    yield "#compdef kt"
    yield "_kt() {"
    yield "    local -a commands options urls"
    yield f"    urls=({' '.join(_quote(url) for url in _URLS)})"
    yield "    commands=("
    for name, text in _described():
        yield f"        {_quote(f'{name}:{text}')}"
    yield "    )"
    yield '    if [[ "${words[CURRENT-1]}" == --at ]]; then compadd -a urls; return; fi'
    yield '    local command="${words[(r)(' + "|".join([*COMMANDS, SERVE]) + ')]}"'
    yield '    if [[ -z "$command" || "$command" == "${words[CURRENT]}" ]]; then'
    yield "        _describe command commands"
    yield "        return"
    yield "    fi"
    yield '    case "$command" in'
    for name, command in COMMANDS.items():
        yield f"        {name}) options=({' '.join(map(_quote, _words(command)))});;"
    yield "    esac"
    yield '    if [[ "$PREFIX" == -* || "$command" == completion ]]; then compadd -a options; else _files; fi'
    yield "}"
    yield 'if [[ "${funcstack[1]}" == _kt ]]; then _kt "$@"; else compdef _kt kt; fi'


def _fish() -> Iterator[str]:
    names = " ".join([*COMMANDS, SERVE])
    for name, text in _described():
        yield (f"complete -c kt -n 'not __fish_seen_subcommand_from {names}' -f -a {name} -d {_quote(text)}")
    for each in COMMON:
        yield _fish_option(each, "")
    for name, command in COMMANDS.items():
        seen = f" -n '__fish_seen_subcommand_from {name}'"
        for each in command.arguments:
            if each.names[0].startswith("-"):
                yield _fish_option(each, seen)
            elif "choices" in each.options:
                yield f"complete -c kt{seen} -f -a {_quote(' '.join(each.options['choices']))}"


def _fish_option(each: Argument, seen: str) -> str:
    names = " ".join(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in each.names)
    takes = f" -x -a {_quote(' '.join(each.options.get('choices', _URLS if each is COMMON[0] else ())))}"
    return f"complete -c kt{seen} {names}{takes if _takes_value(each) else ''} -d {_quote(_help(each))}"


def _described() -> Iterator[tuple[str, str]]:
    yield from ((name, command.help) for name, command in COMMANDS.items())
    yield SERVE, SERVE_HELP


def _help(each: Argument) -> str:
    return str(each.options.get("help", "")).replace("%(default)s", str(each.options.get("default")))


def _quote(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "'\\''") + "'"


_SCRIPTS: Final[Mapping[str, Callable[[], Iterator[str]]]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}
