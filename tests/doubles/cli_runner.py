"""The command line with an encoder that needs no model: `python -m tests.doubles.cli_runner [LARGEST_FILE] -- ARGS`.

LARGEST_FILE, in bytes, makes the disk look full: no file may be written beyond that size, by any process.
"""

from __future__ import annotations

import resource
import signal
import sys

if __name__ == "__main__":
    import orchestrator.services
    from api.cli import main
    from tests.doubles.encoder import HashEncoder
    from tests.doubles.screener import MarkScreener

    limits, args = sys.argv[1 : sys.argv.index("--")], sys.argv[sys.argv.index("--") + 1 :]
    if limits:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the write fails instead of ending the process
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limits[0]), resource.RLIM_INFINITY))
    orchestrator.services._open_encoder = lambda _: HashEncoder()  # type: ignore[assignment, return-value]
    orchestrator.services._open_screener = lambda: MarkScreener()
    sys.argv[1:] = args
    main()
