"""`python -m batos keys`: which clients may enter the bridge. It works on the files; a running kernel looks at them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batos.kernel import keys

if TYPE_CHECKING:
    import argparse

    from batos.operator.show import Speaker
    from batos.settings import Settings

_EFFECT = "A running kernel sees it within a second."


def list_keys(asked: argparse.Namespace, settings: Settings, speaker: Speaker) -> int:
    """List the authorised clients."""
    del asked
    found = keys.listed(settings.keys_path)
    if speaker.json:
        speaker.value([{"name": entry.name, "role": entry.role or "client", "public": entry.public} for entry in found])
    elif not found:
        speaker.remark(f"No client is authorised in {settings.keys_path}; the first start of the kernel makes one.")
    else:
        rows = [(entry.name, entry.role or "client", entry.public) for entry in found]
        speaker.table("authorised clients", ("name", "role", "public key"), rows)
    return 0


def add(asked: argparse.Namespace, settings: Settings, speaker: Speaker) -> int:
    """Make a pair for a client and authorise it."""
    folder = keys.add(settings.keys_path, asked.name, asked.role if asked.role != "client" else "")
    if speaker.json:
        speaker.value({"name": asked.name, "role": asked.role, "folder": str(folder)})
    else:
        speaker.out.print(f"{asked.name} may enter as {asked.role}. {_EFFECT}", markup=False)
        speaker.out.print(f"Give it the folder {folder}, as the folder `keys` of its BATOS_HOME.", markup=False)
    return 0


def revoke(asked: argparse.Namespace, settings: Settings, speaker: Speaker) -> int:
    """Take a client's right away."""
    keys.revoke(settings.keys_path, asked.name)
    if speaker.json:
        speaker.value({"name": asked.name, "revoked": True})
    else:
        speaker.out.print(f"{asked.name} may enter no more. {_EFFECT}", markup=False)
    return 0
