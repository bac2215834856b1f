"""The command `linkspan`. Each command parses, calls one function and prints what it returns.

Modules that take long to import (netlink codecs, the YAML reader) are imported by the command that
needs them, so that `linkspan --version` answers at once.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import click

from linkspan import __version__
from linkspan.cli.common import CHECK, CONFIRM_WITHIN, JSON, check_address, print_json
from linkspan.cli.export import export
from linkspan.cli.imports import import_
from linkspan.cli.reading import COMMANDS as READING_COMMANDS
from linkspan.cli.uplink import COMMANDS as UPLINK_COMMANDS
from linkspan.errors import LinkspanError

_BETWEEN_COLLECTIONS: Final = 100_000
"""Values that come to stay before Python looks for cycles among all of them. A command makes many
values and hardly a cycle, and with its usual 700 looks through a large lab again and again."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="linkspan %(version)s")
def cli() -> None:
    """Virtual networks from one file, on a switch that can say why a frame does not arrive."""


@cli.command(short_help="Make what there is what a file says.")
@click.argument("file", type=click.Path(path_type=Path, readable=False))
@click.option("--watch", is_flag=True, help="Stay, and repair what other hands change.")
@CONFIRM_WITHIN
@CHECK
@JSON
def up(file: Path, watch: bool, confirm_within: float, watched: str | None, as_json: bool) -> None:
    """Make what there is what FILE says: a new lab, or changes of the one that runs."""
    from linkspan.cli.progress import ProgressLine
    from linkspan.lab.terms import Terms
    from linkspan.lab.up import up as bring_up
    from linkspan.view.plans import up_as_json, up_as_text

    terms = Terms(confirm_within, check_address(watched))

    def report(done: Any) -> None:
        _print_notices(done.notices)
        if as_json:
            print_json(up_as_json(done))
        else:
            click.echo(up_as_text(done))

    if watch:
        from linkspan.lab.watch import keep

        keep(file, report, lambda text: click.echo(f"linkspan: {text}", err=True), terms)
        return
    with ProgressLine() as progress:
        done = bring_up(file, progress, terms)
    report(done)


def _print_notices(notices: Sequence[str]) -> None:
    for notice in notices:
        click.echo(f"linkspan: note: {notice}", err=True)


@cli.command()
@click.argument("file", type=click.Path(path_type=Path, readable=False))
@click.option("--check", is_flag=True, help="Exit with 1 when something would change.")
@JSON
def plan(file: Path, check: bool, as_json: bool) -> None:
    """Say what `up` would do with FILE, and why, without doing it."""
    from linkspan.lab.up import preview
    from linkspan.view.plans import plan_as_json, plan_as_text

    changes, notices = preview(file)
    _print_notices(notices)
    if as_json:
        print_json(plan_as_json(changes))
    else:
        click.echo(plan_as_text(changes) or "nothing to do: all is as the file says")
    if check and changes:
        sys.exit(1)


@cli.command()
@click.argument("lab", metavar="LAB|FILE")
@JSON
def down(lab: str, as_json: bool) -> None:
    """Remove a lab and everything that belongs to it."""
    from linkspan.lab.down import down as take_down
    from linkspan.lab.find import find_lab

    place = find_lab(_lab_name(lab))
    take_down(place)
    if as_json:
        print_json({"lab": place.name})
    else:
        click.echo(f"{place.name} is down; nothing of it is left")


def _lab_name(text: str) -> str:
    """The lab's name that the user gave, or that of the file."""
    if text.endswith((".yaml", ".yml")) or "/" in text:
        from linkspan.model.load import load

        return load(Path(text)).name
    return text


@cli.command(
    name="exec",
    short_help="Run a command inside a node, or a shell.",
    context_settings={"allow_interspersed_args": False},
)
@click.argument("node", metavar="NODE|LAB/NODE")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def execute(node: str, command: Sequence[str]) -> None:
    """Run COMMAND inside a node, or a shell when there is none; exits with its exit status."""
    from linkspan.lab.execute import execute_in_node
    from linkspan.lab.find import find_node

    place, name = find_node(node)
    # Everything after the node is the command's own, its options too; `--` may stand between.
    sys.exit(execute_in_node(place, name, command[command[:1] == ("--",) :]))


@cli.command(short_help="Sit at the console of a virtual machine.")
@click.argument("node", metavar="VM|LAB/VM")
def console(node: str) -> None:
    """Connect this terminal with the console of a virtual machine; Ctrl-] leaves."""
    from linkspan.lab.console import console as connect
    from linkspan.lab.find import find_node

    connect(*find_node(node))


@cli.command(short_help="Print the JSON Schema of the file, for editors.")
def schema() -> None:
    """Print the JSON Schema of the file, for editors to complete and check it with."""
    from linkspan.model.schema import json_schema

    print_json(json_schema())


for _command in (*READING_COMMANDS, *UPLINK_COMMANDS, export, import_):
    cli.add_command(_command)


def main(arguments: Sequence[str] | None = None, run: Callable[..., Any] = cli.main) -> None:
    """Run the command line and exit with its status; errors of ours are printed, not raised."""
    gc.set_threshold(_BETWEEN_COLLECTIONS)
    try:
        run(args=arguments, prog_name="linkspan", standalone_mode=False)
    except LinkspanError as error:
        _fail(str(error), error.exit_code)
    except click.exceptions.Exit as leave:
        sys.exit(leave.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _fail("interrupted", 130)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except Exception as error:
        where = _innermost(error)
        _fail(
            f"this is a bug in linkspan {__version__}: {type(error).__name__}: {error} ({where})\n"
            "  next: please report it with this line and the command",
            3,
        )


def _innermost(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else "?"


def _fail(text: str, status: int) -> None:
    click.echo(f"linkspan: {text}", err=True)
    sys.exit(status)
