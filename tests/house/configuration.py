"""docs/configuration.md: every setting of every process, read from the classes that read them.

`just configuration` writes it; `test_configuration.py` refuses a tree in which it is stale, or a setting without
a description.
"""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from petit.chat.settings import Settings as ChatSettings
from petit.cli.settings import BootstrapSettings, DoctorSettings, LocalSettings
from petit.gateway.settings import Settings as GatewaySettings
from petit.notifier.settings import Settings as NotifierSettings

FILE: Final = "docs/configuration.md"
SECTIONS: Final[dict[str, type[BaseSettings]]] = {
    "gateway": GatewaySettings,
    "notifier": NotifierSettings,
    "chat": ChatSettings,
    "petit bootstrap": BootstrapSettings,
    "petit doctor --stack real": DoctorSettings,
    "petit up": LocalSettings,
}
_HEAD: Final = """\
# Configuration

Processes are set up by environment variables and by nothing else. This is all of them, as the code has them: written by
`just configuration`, never by hand.

* **required**: without it the process does not start. A *secret* is never shown in logs, and has no default.
* Lists are written as JSON: `["https://chat.example.org"]`. A path is a file that the process reads.
* The NATS servers' own variables are described where they are used: [deploy/nats/nats.conf](../deploy/nats/nats.conf).
* Who connects to NATS has either a user and its password or a token; chat has either `…_STORE` or `…_CQL_HOSTS`.
* `petit doctor --stack real` tries what is set, and says what to do where it does not fit.
"""


class Setting(NamedTuple):
    """One variable."""

    name: str
    default: str
    """As it would be written; `**required**` where there is none."""
    says: str
    """What it is; empty if nobody wrote it down."""


def settings_of(settings: type[BaseSettings]) -> Iterator[Setting]:
    """Yield the variables that a class reads, as they are written down; those that it shares come first."""
    told = _descriptions(settings)
    prefix = settings.model_config.get("env_prefix", "")
    for name, field in settings.model_fields.items():
        variable = field.alias or f"{prefix}{name}".upper()
        says = told.get(name, "")
        yield Setting(variable, _default(field), f"{says} *Secret.*" if _is_secret(field) and says else says)


def text() -> str:
    """Return the whole file."""
    parts = [_HEAD]
    for title, settings in SECTIONS.items():
        parts.append(f"## {title}\n\n{inspect.getdoc(settings)}\n")
        rows = [f"| `{name}` | {default} | {says} |" for name, default, says in settings_of(settings)]
        parts.append("\n".join(["| variable | default | |", "|---|---|---|", *rows]) + "\n")
    return "\n".join(parts)


def _descriptions(settings: type[BaseSettings]) -> dict[str, str]:
    """Return the docstring under each field, of the class and of those that it shares fields with."""
    told: dict[str, str] = {}
    for part in reversed(settings.__mro__):
        if not issubclass(part, BaseSettings) or part is BaseSettings:
            continue
        [body] = ast.parse(textwrap.dedent(inspect.getsource(part))).body
        assert isinstance(body, ast.ClassDef)
        for field, below in zip(body.body, body.body[1:], strict=False):
            match field, below:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str() as says)):
                    told[name] = " ".join(says.split()).replace("|", "\\|")
                case _:
                    pass
    return told


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    match field.default:
        case None:
            return ""
        case frozenset() | tuple() as many:
            return "`[" + ", ".join(f'"{one}"' for one in sorted(map(str, many))) + "]`"
        case value:
            return f"`{value}`"


def _is_secret(field: FieldInfo) -> bool:
    return field.annotation in {SecretStr, SecretStr | None}


if __name__ == "__main__":
    (Path(__file__).parents[2] / FILE).write_text(text(), encoding="utf-8")
