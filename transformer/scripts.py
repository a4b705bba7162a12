"""What both scripts do around their work: messages, exit codes, compiled programs."""

import io
import logging
import os
import sys
import traceback
from collections.abc import Callable

from rich.console import Console
from rich.logging import RichHandler

from transformer import devices, processes
from transformer.errors import InputError

FAULT = 1
BAD_INPUT = 2
INTERRUPTED = 130

Main = Callable[[Console], None]


def prepare() -> None:
    """What every process that computes begins with."""
    devices.keep_freed_memory()
    devices.keep_compiled_programs()


def run(main: Main) -> int:
    """Runs `main` and returns the exit code; our own bugs keep their traceback.

    Standard output is left to `main`; messages go to standard error.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # None if it is closed
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    console = Console(stderr=True, emoji=False)
    logging.basicConfig(
        level=logging.WARNING,
        format="%(message)s",
        handlers=[RichHandler(console=console, show_time=False, show_path=False)],
    )
    prepare()
    try:
        main(console)
        sys.stdout.flush()  # here, where a broken pipe is expected
    except InputError as error:
        console.quiet = False  # of several processes, each says what it met
        console.print("Error:", style="bold red", end=" ")
        console.print(str(error), markup=False, highlight=False, soft_wrap=True)
        processes.part(BAD_INPUT)
        return BAD_INPUT
    except processes.Lost as error:
        console.quiet = False
        console.print(str(error), markup=False, highlight=False, soft_wrap=True)
        processes.leave(FAULT)
    except KeyboardInterrupt as interrupt:
        console.print(str(interrupt) or "Interrupted.", markup=False)
        processes.part(INTERRUPTED)
        return INTERRUPTED
    except BrokenPipeError:  # whoever read our output has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception:
        if not processes.several():
            raise
        traceback.print_exc()
        processes.leave(FAULT)
    return 0
