"""A result as people read it: one table a subject, the floor and the ratio beside each figure."""

from collections.abc import Callable

from pydantic import TypeAdapter

from petit.cli.load.fanout import SEARCH, WARM_UP, best
from petit.cli.load.latency import Quantiles
from petit.cli.load.plot import histogram
from petit.cli.load.result import Folding, Growth, Idle, Result, Step, Storm

_BUSY = 0.9
"""Share of a core from which on a generator's process may be what limits a step."""
_MIB = 2**20
_KIB = 2**10


def dump(result: Result) -> bytes:
    """Write a result as JSON, with the figures that follow from the counts beside these."""
    adapter = TypeAdapter(Result)
    body = adapter.dump_python(result, mode="json")
    for step, shown in zip(result.steps, body["steps"], strict=True):
        shown |= {
            "accepted_per_s": step.accepted_per_s,
            "deliveries_per_s": step.deliveries_per_s,
            "cpu_s_per_million": step.cpu_s_per_million,
            "cpu_us_per_accepted": step.cpu_us_per_accepted,
            "deliveries_per_cpu_s": step.deliveries_per_cpu_s,
        }
    return TypeAdapter(dict[str, object]).dump_json(body, indent=2) + b"\n"


def text(result: Result) -> str:
    """Write a result for a terminal."""
    lines = [result.command, ""]
    steps = [step for step in result.steps if step.what != WARM_UP]
    floors = {step.rate: step for step in steps if step.server == "floor"}
    tried = [step for step in steps if step.what == SEARCH and step.server != "floor"]
    lines += [_tried(step) for step in tried]
    top = best(tried)
    if top is not None:
        lines += [f"greatest rate sustained: {top.rate:g}/s, {top.deliveries_per_s:,.0f} deliveries/s", ""]
    for step in steps:
        if step.server != "floor" and (step.what != SEARCH or step is top):
            lines += _step(step, floor=floors.get(step.rate))
    for idle in result.idle:
        lines += _idle(idle)
    if result.folding is not None:
        lines += _folding(result.folding)
    if result.storm is not None:
        lines += _storm(result.storm)
    if result.growth is not None:
        lines += _growth(result.growth)
    if result.violations:
        lines += [f"NO SCORE: {len(result.violations)} violations", *(f"  {what}" for what in result.violations[:20])]
    return "\n".join(lines) + "\n"


def _tried(step: Step) -> str:
    return (
        f"  {step.rate:8g}/s {step.deliveries_per_s:>12,.0f} deliveries/s, p99 {step.deliver.p99:>9.2f} ms,"
        f" {step.cpu_s_per_million or 0:.2f} CPU-s per million{'' if step.sustained else ', not sustained'}"
    )


def _step(step: Step, *, floor: Step | None) -> list[str]:
    asked = f"{step.rate:g} messages/s" if step.rate else "as fast as the window allows"
    lines = [
        f"{step.what} at {asked}{'' if step.sustained else ' (NOT SUSTAINED)'}",
        f"  accepted    {step.accepted_per_s:>12,.0f} /s   of {step.sent:,} sent"
        + (f", refused {step.refused} {step.problem}" if step.refused else "")
        + (f", unknown {step.unknown}" if step.unknown else ""),
        f"  send to 201 {_quantiles(step.accept)}",
    ]
    if step.deliveries:
        resumed = f", {step.cuts} streams resumed" if step.cuts else ""
        lines += [
            f"  deliveries  {step.deliveries_per_s:>12,.0f} /s   {step.deliveries:,} in all{resumed}",
            f"  due to here {_quantiles(step.deliver)}{_beside(step, floor, lambda one: one.deliver.p99)}",
        ]
    if step.cpu_s_per_million is not None:
        lines.append(
            f"  CPU         {step.cpu_s_per_million:>12.2f} s per million deliveries at {step.deliveries_per_s:,.0f}/s"
            + _beside(step, floor, lambda one: one.cpu_s_per_million)
        )
    if step.cpu_us_per_accepted is not None:
        lines.append(
            f"  CPU         {step.cpu_us_per_accepted:>12.0f} μs per accepted message at {step.accepted_per_s:,.0f}/s"
            + _beside(step, floor, lambda one: one.cpu_us_per_accepted)
        )
        for name, used in sorted(step.cpu_s.items(), key=lambda item: -item[1]):
            per = step.deliveries_per_cpu_s.get(name)
            lines.append(
                f"    {name:<18} {100 * used / step.wall_s:5.1f} % of a core"
                + (f", {per:,.0f} deliveries per CPU-second" if per else "")
            )
    lines.append(
        "    generator          "
        + ", ".join(f"{name} {100 * used / step.wall_s:.1f} %" for name, used in step.generator_cpu_s.items())
    )
    if max(step.generator_cpu_s.values()) > _BUSY * step.wall_s:
        lines.append("    the generator was the limit: see deliveries per CPU-second, or add --workers")
    return [*lines, *histogram(step.histogram), ""]


def _quantiles(found: Quantiles) -> str:
    return f"p50 {found.p50:.2f} · p99 {found.p99:.2f} · p99.9 {found.p999:.2f} · worst {found.worst:.2f} ms"


def _beside(step: Step, floor: Step | None, figure: Callable[[Step], float | None]) -> str:
    ours, theirs = figure(step), floor and figure(floor)
    return f"   (floor {theirs:.2f}, ratio {ours / theirs:.2f})" if ours and theirs else ""


def _idle(idle: Idle) -> list[str]:
    growth = {name: (after - idle.pss_before[name]) / _MIB for name, after in idle.pss_with.items()}
    return [
        f"{idle.server}: {idle.connections:,} idle connections",
        f"  memory      {idle.bytes_per_connection / _KIB:>12.2f} KiB PSS each (all processes together)",
        *(f"    {name:<18} {grown:+.1f} MiB to {idle.pss_with[name] / _MIB:.1f}" for name, grown in growth.items()),
        f"  connecting  {idle.connect_seconds:>12.2f} s, {idle.connect_cpu_s:.2f} CPU-s",
        f"  CPU         {idle.cpu_percent:>12.2f} % of a core while idle",
        "",
    ]


def _folding(folding: Folding) -> list[str]:
    return [
        f"fold caught up with offset {folding.offset:,} {folding.seconds:.2f} s after the last 201",
        f"  {folding.checked:,} acknowledged messages looked for in history",
        "",
    ]


def _storm(storm: Storm) -> list[str]:
    found = storm.caught_up
    return [
        f"storm: {storm.clients:,} clients cut for {storm.outage_s:g} s while {storm.rate:g} messages/s went on",
        f"  caught up   p50 {found.p50:.0f} · p99 {found.p99:.0f} · last {found.worst:.0f} ms after the return"
        + (f", {storm.never} NEVER" if storm.never else ""),
        f"  missed      {storm.missed:,} deliveries, made good",
        f"  CPU         {sum(storm.cpu_s.values()):.2f} s, memory {sum(storm.pss_with.values()) / _MIB:.1f} MiB",
        "",
    ]


def _growth(growth: Growth) -> list[str]:
    lines = ["stored        send μs    page μs  deliver μs   send p50   page p50  deliver p50/p99 ms   memory MiB"]
    lines += [
        f"{age.stored:>10,} {age.send_us:>10.1f} {age.page_us:>10.1f} {age.deliver_us:>11.2f} {age.send_p50_ms:>10.2f}"
        f" {age.page_p50_ms:>10.2f} {age.deliver_p50_ms:>12.2f}/{age.deliver_p99_ms:.2f}"
        f" {sum(age.pss.values()) / _MIB:>12.1f}"
        for age in growth.ages
    ]
    slopes = ", ".join(f"{name} {slope:+.3f}" for name, slope in growth.exponents.items())
    return [*lines, f"exponents: {slopes}", ""]
