"""Speed and quality, measured: `python -m batos bench NAME`.

Each module here is one bench: `run(options, tell)` measures and gives its figures. Speeds are ratios to a peer in the same run,
medians of interleaved rounds, so that a busy machine slows both.
"""
