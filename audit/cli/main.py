"""The command group, and how every ending becomes an exit code.

0 completed; 1 a gate was breached; 2 usage or configuration; 3 incomplete or integrity failure;
4 inconclusive when gating; 5 nothing to audit; 70 internal error; 130 interrupted and 143
terminated, both resumable.
"""

from __future__ import annotations

import os
import sys
import warnings

import click

from reid_audit.audit.cli import (
    anonymizing,
    auditing,
    benching,
    estimating,
    inspecting,
    installing,
    reporting,
    training,
)
from reid_audit.audit.cli.door import guarded
from reid_audit.audit.run_directory import tool_version


@click.group(context_settings={"auto_envvar_prefix": "REID_AUDIT", "max_content_width": 100})
@click.version_option(tool_version(), prog_name="reid-audit")
def cli() -> None:
    """Can the people in these anonymised pictures still be identified?

    Start with `reid-audit demo`, then `reid-audit scan DATA -o RUN`.
    """


MODULES = (
    auditing,
    estimating,
    inspecting,
    anonymizing,
    training,
    benching,
    reporting,
    installing,
)
for module in MODULES:
    for command in module.COMMANDS:
        cli.add_command(command)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit; however it ends, there is a sentence and no traceback."""
    # Read when torch is loaded: threads that wait sleep, instead of turning round and taking the
    # processor from the very threads they wait for (benchmarks/robustness.md, waiting threads).
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Of damaged metadata; what matters of it is reported, and a user can do nothing about the rest.
    warnings.filterwarnings("ignore", module="PIL")
    sys.exit(guarded(lambda: cli.main(arguments, prog_name="reid-audit", standalone_mode=False)))
