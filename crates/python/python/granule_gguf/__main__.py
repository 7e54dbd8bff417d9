"""The program ``granule``, as ``python -m granule_gguf`` and as the script of the package."""

from __future__ import annotations

import signal
import sys

from . import _granule


def main() -> int:
    """Run the program with the arguments of this process, and return its exit status."""
    # Ctrl-C ends a program that has nothing to clean up; one that does catches it itself
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    return _granule.run_program(["granule", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
