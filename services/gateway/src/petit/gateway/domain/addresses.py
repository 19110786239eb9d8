"""Where a request comes from, as far as proxies on the way are to be believed."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

Network = IPv4Network | IPv6Network
_SITE_BITS: Final = 64
"""Bits of an IPv6 address that name a site: everybody has 2^64 addresses (RFC 6177)."""


def networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Return addresses and CIDR blocks as networks.

    Raises:
        ValueError: one is neither.
    """
    return tuple(ip_network(text) for text in texts)


def origin_of(peer: str | None, forwarded: str | None, *, trusted: Sequence[Network]) -> str:
    """Return what stands for who asks: an IPv4 address, or the /64 of an IPv6 one; empty if unknown.

    Args:
        peer: The other end of the connection.
        forwarded: `X-Forwarded-For`, to which each proxy appends whom it was asked by; None without the header.
        trusted: Our own proxies. What anybody else says about where they come from is worth nothing.
    """
    address = _address(peer)
    hops = [] if forwarded is None else forwarded.split(",")
    while address is not None and hops and any(address in network for network in trusted):
        before = _address(hops.pop().strip())
        if before is None:
            break
        address = before
    if isinstance(address, IPv6Address):
        return str(ip_network((address, _SITE_BITS), strict=False))
    return "" if address is None else str(address)


def _address(text: str | None) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text or "")
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
