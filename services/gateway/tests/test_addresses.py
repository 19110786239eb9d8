"""Where a request comes from: nobody can say it for themselves, only our own proxies can."""

import pytest

from petit.gateway.domain.addresses import networks, origin_of

TRUSTED = networks(["10.0.0.0/8", "2001:db8::1"])


@pytest.mark.parametrize(
    ("peer", "forwarded", "origin"),
    [
        ("192.0.2.1", None, "192.0.2.1"),
        ("192.0.2.1", "198.51.100.7", "192.0.2.1"),
        ("10.1.2.3", None, "10.1.2.3"),
        ("10.1.2.3", "198.51.100.7", "198.51.100.7"),
        ("10.1.2.3", "1.1.1.1, 198.51.100.7", "198.51.100.7"),
        ("10.1.2.3", "1.1.1.1, 198.51.100.7, 10.9.9.9", "198.51.100.7"),
        ("10.1.2.3", "garbage", "10.1.2.3"),
        ("10.1.2.3", "198.51.100.7, garbage", "10.1.2.3"),
        ("10.1.2.3", "", "10.1.2.3"),
        ("::ffff:10.1.2.3", "198.51.100.7", "198.51.100.7"),
        ("2001:db8::1", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:9:9::2", "2001:db8:1:2:3:4:5:6", "2001:db8:9:9::/64"),
        (None, "198.51.100.7", ""),
        ("", None, ""),
    ],
)
def test_who_asks(peer: str | None, forwarded: str | None, origin: str) -> None:
    assert origin_of(peer, forwarded, trusted=TRUSTED) == origin


def test_what_is_no_network_is_refused() -> None:
    with pytest.raises(ValueError, match="does not appear"):
        networks(["proxy"])
