"""CURVE keys of the Synaptic Bridge: made on the first start, authorised ones read from `keys/authorized`.

All files have the certificate form of `zmq.auth`; secret files have mode 0600. A file in `authorized` may say
`role = "operator"` in its metadata. A further client has a folder of its own, `keys/NAME/`, laid out as the client
reads it: `server.key` and `client.key_secret`.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import zmq.auth

from batos.errors import BadField, UnknownTarget

OPERATOR = "operator"
OWN = "client"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_RESERVED = frozenset({"authorized", "server"})


@dataclass(frozen=True, slots=True)
class Entry:
    """An authorised key: the client's name, its public key as Z85 text, its role (empty: a plain client)."""

    name: str
    public: str
    role: str


def ensure_keys(folder: Path) -> None:
    """Make the keys that are missing; a client that waits for them sees whole files only."""
    authorized = folder / "authorized"
    first = not authorized.exists()
    authorized.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    # The server's public key comes last: it is the one that clients wait for.
    for name in (OWN, "server"):
        if not (folder / f"{name}.key_secret").exists() or not (folder / f"{name}.key").exists():
            first |= name == OWN
            _make(folder, name)
    # Not again after it was revoked.
    if first:
        _authorize(folder, OWN, folder / f"{OWN}.key", OPERATOR)


def add(folder: Path, name: str, role: str = "") -> Path:
    """Make a pair for a further client and authorise it; gives the folder that the client needs.

    Raises:
        BadField: The name is taken, or is none.
    """
    if not _NAME.fullmatch(name) or name in _RESERVED:
        raise BadField(f"{name!r} cannot be a client's name", "Use letters, digits, - and _.")
    if (folder / "authorized" / f"{name}.key").exists():
        raise BadField(f"There is a client {name!r} already", "Revoke it first, or choose another name.")
    ensure_keys(folder)
    if name == OWN:
        _authorize(folder, OWN, folder / f"{OWN}.key", role)
        return folder
    own = folder / name
    own.mkdir(mode=0o700, exist_ok=True)
    _make(own, OWN)
    shutil.copyfile(folder / "server.key", own / "server.key")
    _authorize(folder, name, own / f"{OWN}.key", role)
    return own


def revoke(folder: Path, name: str) -> None:
    """Take a client's right away; a running kernel hears its messages no more.

    Raises:
        UnknownTarget: No such client is authorised.
    """
    file = folder / "authorized" / f"{name}.key"
    if not _NAME.fullmatch(name) or not file.exists():
        raise UnknownTarget(f"No client {name!r} is authorised", "`python -m batos keys list` shows them.")
    file.unlink()
    if name != OWN and (folder / name).is_dir():
        shutil.rmtree(folder / name)


def listed(folder: Path) -> list[Entry]:
    """The authorised keys; files that are none are left out."""
    found = []
    for file in sorted((folder / "authorized").glob("*.key")):
        try:
            public, _ = zmq.auth.load_certificate(file)
        except (OSError, ValueError):
            continue
        found.append(Entry(file.stem, public.decode(), OPERATOR if _says_operator(file) else ""))
    return found


def roles(folder: Path) -> dict[str, str]:
    """The role of each authorised public key (as Z85 text): `operator`, or empty."""
    return {entry.public: entry.role for entry in listed(folder)}


def stamp(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """What changes when the authorised keys do."""
    marks = []
    for file in sorted((folder / "authorized").glob("*.key")):
        try:
            about = file.stat()
        except OSError:
            continue
        marks.append((file.name, about.st_mtime_ns, about.st_ino))
    return tuple(marks)


def server_keys(folder: Path) -> tuple[bytes, bytes]:
    """The server's public and secret key."""
    public, secret = zmq.auth.load_certificate(folder / "server.key_secret")
    assert secret is not None
    return public, secret


def _make(folder: Path, name: str) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as work:
        public, secret = (Path(made) for made in zmq.auth.create_certificates(work, name))
        secret.chmod(0o600)
        secret.replace(folder / f"{name}.key_secret")
        public.replace(folder / f"{name}.key")


def _authorize(folder: Path, name: str, public: Path, role: str) -> None:
    """Write a public key with its role into the folder of authorised ones, whole or not at all."""
    text = public.read_text(encoding="utf-8")
    if role:
        text = text.replace("metadata\n", f'metadata\n    role = "{role}"\n', 1)
    target = folder / "authorized" / f"{name}.key"
    fresh = target.with_suffix(".new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(target)


def _says_operator(file: Path) -> bool:
    lines = [line.replace(" ", "") for line in file.read_text(encoding="utf-8").splitlines()]
    return any(line in ('role="operator"', "role=operator") for line in lines)
