"""The Architect's client; `--help` tells its arguments."""

from batos.client.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
