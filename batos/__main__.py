"""`python -m batos …`: the operator's commands."""

import sys

from batos.operator.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
