"""Entry point: the command group, and the one place where errors become a line on stderr and an exit code."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence

import click

from prism import __version__
from prism.cli.ask import ask
from prism.cli.calibrate import calibrate
from prism.cli.compare import compare
from prism.cli.doctor import doctor
from prism.cli.explore import explore
from prism.cli.output import say
from prism.cli.profile import profile
from prism.cli.run import run
from prism.cli.simulate import simulate
from prism.cli.study import study
from prism.cli.testbed import testbed
from prism.cli.validate import validate
from prism.cli.worker import worker
from prism.errors import InputError, RunFailed

BAD_INPUT = 2
RUN_FAILED = 3
INTERRUPTED = 130


@click.group(
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Exit codes: 0 done, 1 a gate failed, 2 bad input, 3 a board failed. Each command takes --json; "
    "its --help has an example.",
)
@click.version_option(__version__, prog_name="prism")
@click.pass_context
def cli(context: click.Context) -> None:
    """Is it worth splitting this Transformer over several boards, how, and when?"""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


for command in (study, simulate, compare, explore, validate, calibrate, testbed, worker, doctor, profile, run, ask):
    cli.add_command(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    try:
        with cli.make_context("prism", list(sys.argv[1:] if arguments is None else arguments)) as context:
            code = cli.invoke(context)
    except click.exceptions.Exit as done:
        code = done.exit_code
    except InputError as error:
        say(f"error: {error}")
        code = BAD_INPUT
    except RunFailed as error:
        say(f"error: {error}")
        code = RUN_FAILED
    except click.ClickException as error:
        say(f"error: {error.format_message()}")
        code = BAD_INPUT
    except BrokenPipeError:
        _discard_output()  # whoever read it has had enough
        code = 0
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO):
            raise
        _discard_output()
        say(f"error: the output cannot be written ({error.strerror}); free space or print elsewhere")
        code = BAD_INPUT
    except (click.Abort, KeyboardInterrupt):
        say("interrupted: no file was left half-written")
        code = INTERRUPTED
    sys.exit(code if isinstance(code, int) else 0)


def _discard_output() -> None:
    """What is left to flush at exit goes nowhere instead of failing once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
