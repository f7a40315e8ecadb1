"""What systemd hears of the watchdog."""

from __future__ import annotations

import socket

import pytest

from batos.watchdog.notify import Notifier


@pytest.fixture
def ear(tmp_path, monkeypatch):
    """A socket in the place of systemd's."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(str(tmp_path / "notify"))
        made.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "1000")
        yield made


def test_ready_is_said_once(ear):
    """The first service ends the start; later ones only change the status."""
    notifier = Notifier()
    notifier.ready("The kernel\nserves")
    notifier.ready("again")
    notifier.stopping()
    assert [ear.recv(1000) for _ in range(3)] == [b"READY=1\nSTATUS=The kernel serves", b"STATUS=again", b"STOPPING=1"]


def test_life_signs_come_when_it_is_time(ear, monkeypatch):
    """However often the loop goes round, systemd hears of it at its own pace."""
    monkeypatch.setenv("WATCHDOG_USEC", "3600000000")
    notifier = Notifier()
    notifier._last = -1e9
    for _ in range(5):
        notifier.alive()
    notifier.status("end")
    assert [ear.recv(1000) for _ in range(2)] == [b"WATCHDOG=1\nEXTEND_TIMEOUT_USEC=120000000", b"STATUS=end"]


def test_only_starts_and_stops_are_given_more_time(ear):
    """A start that takes long and a stop are not cut off as long as signs of life come; service has no end anyway."""
    notifier = Notifier()
    said = []
    for step in (lambda: None, lambda: notifier.ready("it serves"), notifier.stopping):
        step()
        notifier._last = -1e9
        notifier.alive()
        while not (word := ear.recv(1000)).startswith(b"WATCHDOG=1"):
            pass
        said.append(b"EXTEND_TIMEOUT_USEC" in word)
    assert said == [True, False, True]


def test_without_systemd_nothing_is_said(monkeypatch):
    """Without a socket, or with one that is gone, nothing happens."""
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    Notifier().ready("alone")
    monkeypatch.setenv("NOTIFY_SOCKET", "/nonexistent/notify")
    notifier = Notifier()
    notifier.ready("alone")
    assert notifier._ready
