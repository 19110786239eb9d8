"""Whether what was acknowledged is what arrived: the run's score depends on it."""

from petit.cli.load.crew import Heard
from petit.cli.load.ledger import Ledger


def judge(ledger: Ledger, *, heard: Heard) -> list[str]:
    """List the violations of one step: nothing acknowledged may be lost, doubled or out of order.

    What one listener missed that others had is among what was heard; here it is about what nobody had, and
    about the order that acknowledgements promised.
    """
    found = list(heard.violations)
    orders = {room: order for share in heard.orders for room, order in share.items()}
    for room, acknowledged in enumerate(ledger.rooms):
        order = orders.get(room)
        if order is None:
            continue  # nobody listens there
        lost = sorted(acknowledged.keys() - set(order))
        if lost:
            found.append(f"room {room}: {len(lost)} acknowledged messages reached nobody, first number {lost[0]}")
        offsets = [acknowledged[number] for number in order if number in acknowledged]
        if offsets != sorted(offsets):
            found.append(f"room {room}: delivered in another order than the offsets that were acknowledged")
        for number, offset in acknowledged.items():
            shown = heard.offsets.get(number, offset)
            if shown != offset:
                found.append(f"room {room}: message {number} was acknowledged at {offset} and delivered at {shown}")
                break
    return found
