"""The change log beside a writer and packs: every question is answered."""

from __future__ import annotations

import threading

from tests.kernel.harness import Client, Kernel

QUESTIONS = 150


def test_changes_are_told_beside_writers_and_packs(tmp_path):
    """While somebody writes and the image is packed, `changes` never fails."""
    kernel = Kernel(tmp_path, []).start()
    done = threading.Event()

    def write() -> None:
        with Client(kernel) as writer:
            number = 0
            while not done.is_set():
                number += 1
                writer.ask({"command": "set", "target_oid": "genesis_obj", "slots": {"n": number}})
                if number % 50 == 0:
                    writer.ask({"command": "image", "action": "pack"})

    thread = threading.Thread(target=write)
    thread.start()
    try:
        with Client(kernel) as client:
            replies = [client.ask({"command": "changes"}) for _ in range(QUESTIONS)]
    finally:
        done.set()
        thread.join()
        kernel.stop()
    assert [reply for reply in replies if reply["status"] != "OK"] == []
