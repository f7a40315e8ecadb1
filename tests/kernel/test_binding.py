"""The bridge's socket as it is set up."""

import zmq

from batos.kernel import binding
from batos.settings import Settings


def test_a_slow_reader_is_not_asked_for_signs_of_life(tmp_path):
    """The kernel sends no ZeroMQ heartbeats, which a slow reader cannot answer; TCP looks for peers that are gone."""
    with zmq.Context() as context, context.socket(zmq.ROUTER) as socket:
        binding.configure(socket, Settings(home=tmp_path))
        assert socket.getsockopt(zmq.HEARTBEAT_IVL) == 0
        assert socket.getsockopt(zmq.TCP_KEEPALIVE) == 1
