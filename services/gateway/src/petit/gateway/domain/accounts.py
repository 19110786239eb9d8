"""What people write to sign up and to log in, and what they get for it."""

from typing import Annotated, Any, ClassVar, Final, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

USERNAME_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
"""No @: a username is shown to everybody, and an e-mail address is nobody's business."""
MIN_PASSWORD: Final = 8
MAX_PASSWORD: Final = 256
MAX_NAME: Final = 100
_MAX_TOKEN: Final = 16_384

Username = Annotated[str, Field(pattern=USERNAME_PATTERN)]
_PASSWORD_OR_TOKEN: Final[dict[str, Any]] = {
    "oneOf": [{"required": ["username", "password"]}, {"required": ["refresh_token"]}]
}


class _Body(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class SignUpBody(_Body):
    """Somebody new. The issuer keeps the password's hash; we keep nothing."""

    username: Username
    """In any case; kept in lower case."""
    password: Annotated[SecretStr, Field(min_length=MIN_PASSWORD, max_length=MAX_PASSWORD)]
    name: Annotated[str, Field(min_length=1, max_length=MAX_NAME)] | None = None
    """What people call them."""


class LogInBody(_Body):
    """A username with its password, or the refresh token of a log-in that goes on."""

    model_config: ClassVar[ConfigDict] = ConfigDict(json_schema_extra=_PASSWORD_OR_TOKEN)

    username: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    password: Annotated[SecretStr, Field(min_length=1, max_length=MAX_PASSWORD)] | None = None
    refresh_token: Annotated[SecretStr, Field(min_length=1, max_length=_MAX_TOKEN)] | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        by_password = self.username is not None and self.password is not None and self.refresh_token is None
        by_token = self.refresh_token is not None and self.username is None and self.password is None
        if by_password == by_token:
            raise ValueError("either username and password, or refresh_token")
        return self


class Grant(BaseModel):
    """A log-in's tokens, as the issuer makes them (RFC 6749, section 5.1)."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, hide_input_in_errors=True)

    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - a kind of token, not one
    expires_in: int
    """Seconds."""
    refresh_token: str
    refresh_expires_in: int
    """Seconds."""
