"""Ports for servers: different ones, and free."""

import socket

from petit.kit.ports import free_ports, is_free


def test_ports_are_different_and_can_be_listened_on() -> None:
    ports = free_ports(100)

    assert len(set(ports)) == 100
    assert all(map(is_free, ports))


def test_a_port_that_is_listened_on_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert not is_free(server.getsockname()[1])
