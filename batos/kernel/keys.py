"""CURVE keys of the Synaptic Bridge: made on the first start, authorised ones read from `keys/authorized`.

All files have the certificate form of `zmq.auth`; secret files have mode 0600. A file in `authorized` may say
`role = "operator"` in its metadata.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import zmq.auth

OPERATOR = "operator"


def ensure_keys(folder: Path) -> None:
    """Make the keys that are missing; a client that waits for them sees whole files only."""
    authorized = folder / "authorized"
    authorized.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    # The server's public key comes last: it is the one that clients wait for.
    for name in ("client", "server"):
        if not (folder / f"{name}.key_secret").exists() or not (folder / f"{name}.key").exists():
            _make(folder, name)
    if not (authorized / "client.key").exists():
        text = (folder / "client.key").read_text(encoding="utf-8")
        marked = text.replace("metadata\n", f'metadata\n    role = "{OPERATOR}"\n', 1)
        (authorized / "client.key").write_text(marked, encoding="utf-8")


def _make(folder: Path, name: str) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as work:
        public, secret = zmq.auth.create_certificates(work, name)
        Path(secret).chmod(0o600)
        Path(secret).replace(folder / f"{name}.key_secret")
        Path(public).replace(folder / f"{name}.key")


def server_keys(folder: Path) -> tuple[bytes, bytes]:
    """The server's public and secret key."""
    public, secret = zmq.auth.load_certificate(folder / "server.key_secret")
    assert secret is not None
    return public, secret


def roles(folder: Path) -> dict[str, str]:
    """The role of each authorised public key (as Z85 text): `operator`, or empty."""
    found: dict[str, str] = {}
    for file in sorted((folder / "authorized").glob("*.key")):
        try:
            public, _ = zmq.auth.load_certificate(file)
        except (OSError, ValueError):
            continue
        found[public.decode()] = OPERATOR if _says_operator(file) else ""
    return found


def _says_operator(file: Path) -> bool:
    lines = [line.replace(" ", "") for line in file.read_text(encoding="utf-8").splitlines()]
    return any(line in ('role="operator"', "role=operator") for line in lines)
