"""Print the script that makes a shell complete commands and options with the Tab key."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from auth0_meta.cli.groups import Command

# As click derives it from the program's name.
_VARIABLE = "_AUTH0_META_COMPLETE"


@click.command(
    cls=Command,
    epilog="""\b
auth0-meta completion bash > \\
    ~/.local/share/bash-completion/completions/auth0-meta
auth0-meta completion zsh > ~/.zfunc/_auth0-meta        (a directory of fpath)
auth0-meta completion fish > ~/.config/fish/completions/auth0-meta.fish""",
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(*, shell: str) -> None:
    """Print the script with which a shell completes commands and options.

    To try it: eval "$(auth0-meta completion bash)". To keep it, write it to the file that the shell reads:
    """
    script = get_completion_class(shell)
    assert script is not None  # noqa: S101  # click has these three
    program = click.get_current_context().find_root()
    source = script(program.command, {}, "auth0-meta", _VARIABLE).source()
    # The script for fish ends a line of help at its first comma.
    click.echo(source.replace('(string split "," ', '(string split --max 1 "," '))
