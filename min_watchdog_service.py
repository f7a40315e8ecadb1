"""Start the watchdog: it starts the kernel and keeps it serving."""

import sys

from batos.watchdog.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
