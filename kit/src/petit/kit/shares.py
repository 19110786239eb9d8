"""Who should own which partition: the same answer wherever it is computed.

Rendezvous hashing with a bound. Every partition ranks the members by a hash of both, and goes to the first
of them that has room; nobody takes more than an equal share, rounded up. When a member comes or goes, few
partitions move besides those that it takes or leaves.
"""

from collections import Counter
from collections.abc import Iterable
from hashlib import blake2b


def shares(members: Iterable[str], *, partitions: int) -> dict[str, frozenset[int]]:
    """Divide partitions 0 to `partitions` - 1 among the members; empty without members."""
    names = sorted(set(members))
    if not names:
        return {}
    most = -(-partitions // len(names))
    taken: Counter[str] = Counter()
    owners: list[str] = []
    for partition in range(partitions):
        ranked = sorted(names, key=lambda name: _rank(partition, name))
        owner = next(name for name in ranked if taken[name] < most)
        taken[owner] += 1
        owners.append(owner)
    return {name: frozenset(p for p, owner in enumerate(owners) if owner == name) for name in names}


def _rank(partition: int, name: str) -> bytes:
    return blake2b(f"{partition}:{name}".encode(), digest_size=8).digest()
