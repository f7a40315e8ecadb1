"""Start the kernel: the vessel that serves the Living Image."""

import sys

from batos.kernel.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
