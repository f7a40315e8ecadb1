"""The operator's commands: `python -m batos …`."""
