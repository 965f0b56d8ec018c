"""``edgecam completion``: what makes the Tab key know edgecam."""

from __future__ import annotations

import os
from pathlib import PurePath

import click
from click.shell_completion import get_completion_class

from edgecam.cli.base import new_command
from edgecam.errors import UsageError

VARIABLE = "_EDGECAM_COMPLETE"
SHELLS = {
    "bash": 'add to ~/.bashrc:  eval "$(edgecam completion bash)"',
    "zsh": 'add to ~/.zshrc:  eval "$(edgecam completion zsh)"',
    "fish": "run once:  edgecam completion fish > ~/.config/fish/completions/edgecam.fish",
}

EXAMPLES = """
eval "$(edgecam completion bash)"                in this shell
echo 'eval "$(edgecam completion bash)"' >> ~/.bashrc
edgecam completion fish > ~/.config/fish/completions/edgecam.fish
"""


@new_command(
    "completion",
    help="Print the script that completes commands, options and model names in your shell.\n\n"
    "Without SHELL it is for the one that you use.",
    examples=EXAMPLES,
    params=[click.Argument(["shell"], required=False, type=click.Choice(list(SHELLS)))],
)
@click.pass_context
def completion(ctx: click.Context, shell: str | None) -> None:
    shell = shell or PurePath(os.environ.get("SHELL", "")).name
    complete = get_completion_class(shell) if shell in SHELLS else None
    if complete is None:
        raise UsageError(
            f"no completion for shell {shell or '(unknown)'!r}", f"name one of {', '.join(SHELLS)}"
        )
    print(f"# {SHELLS[shell]}")
    print(complete(ctx.find_root().command, {}, "edgecam", VARIABLE).source())
