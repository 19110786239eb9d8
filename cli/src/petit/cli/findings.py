"""What a doctor finds: how each part is, and what to do where it is not well."""

from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass

from petit.cli import show
from petit.cli.trouble import Trouble


@dataclass(frozen=True, slots=True)
class Finding:
    """How one part is."""

    part: str
    well: bool
    says: str
    """How it is; where it is not well, or not for ever, also what to do."""
    warns: bool = False
    """It is well, and something should be done nevertheless."""


async def report(findings: AsyncIterator[Finding], *, json: bool) -> None:
    """Print each finding as it comes.

    Raises:
        Trouble: something is not well.
    """
    ill = []
    async for finding in findings:
        if not finding.well:
            ill.append(finding.part)
        if json:
            show.record(asdict(finding))
        else:
            show.line(f"{_mark(finding)}  {finding.part:<11} {finding.says}")
    if ill:
        raise Trouble(f"not well: {', '.join(ill)}")


def _mark(finding: Finding) -> str:
    if not finding.well:
        return show.styled("bad", "bad")
    return show.styled("see", "loud") if finding.warns else show.styled("ok ", "good")
