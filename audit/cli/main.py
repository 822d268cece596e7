"""The command group, and how every ending becomes an exit code.

0 completed; 1 a gate was breached; 2 usage or configuration; 3 incomplete or integrity failure;
4 inconclusive when gating; 5 nothing to audit; 130 interrupted, resumable.
"""

from __future__ import annotations

import sys

import click

from reid_audit.audit.cli import anonymizing, auditing, benching, installing, reporting, training
from reid_audit.audit.cli.console import visible
from reid_audit.audit.run_directory import tool_version
from reid_audit.metrics.errors import ReidAuditError

INTERRUPTED = 130


@click.group(context_settings={"auto_envvar_prefix": "REID_AUDIT", "max_content_width": 100})
@click.version_option(tool_version(), prog_name="reid-audit")
def cli() -> None:
    """Can the people in these anonymised pictures still be identified?

    Start with `reid-audit demo`, then `reid-audit scan DATA -o RUN`.
    """


for module in (auditing, anonymizing, training, benching, reporting, installing):
    for command in module.COMMANDS:
        cli.add_command(command)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit; errors a user can mend are one sentence, no traceback."""
    try:
        code = cli.main(arguments, prog_name="reid-audit", standalone_mode=False)
    except ReidAuditError as error:
        _fail(str(error), error.exit_code)
    except click.exceptions.Abort:
        _fail("Interrupted; repeat the same command to go on from here.", INTERRUPTED)
    except KeyboardInterrupt:
        _fail("Interrupted; repeat the same command to go on from here.", INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str, code: int) -> None:
    click.echo(visible(f"reid-audit: {message}"), err=True)
    sys.exit(code)
