"""The settings of moderation's policies."""

from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import NoDecode

from pushlane.callback.tencent.answer import OWN_CODES
from pushlane.callback.verdict import MAX_TEXT_CHARS
from pushlane.service.configuration import comma_separated
from pushlane.service.credentials import wrong

BUILT_IN: Final = frozenset({"blocked_words", "length"})
"""The policies that need no Python path."""


def _own_code(code: int) -> int:
    if not any(code in codes for codes in OWN_CODES.values()):
        allowed = " or ".join(f"{codes.start} to {codes.stop - 1} ({name})" for name, codes in OWN_CODES.items())
        raise PydanticCustomError("code", "must be {allowed}", {"allowed": allowed})
    return code


class PolicySettings(BaseModel):
    """One policy of the chain."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    policy: str = Field(description="`blocked_words`, `length`, or the Python path `package.module:name` of a policy.")
    code: Annotated[int, AfterValidator(_own_code)] | None = Field(
        None, description="The code that the sender's client gets, one of its command's own."
    )
    text: str = Field("", max_length=MAX_TEXT_CHARS, description="The text that goes with `code`.")
    max_chars: int = Field(5000, ge=1, description="For `length`: how long a message's text may be.")

    @model_validator(mode="after")
    def _is_used(self) -> "PolicySettings":
        given = self.model_fields_set
        if self.policy != "length" and "max_chars" in given:
            raise wrong("max_chars", "is only for the policy length")
        if self.policy not in BUILT_IN and given & {"code", "text"}:
            raise wrong("code", f"is only for {' and '.join(sorted(BUILT_IN))}: other policies choose their own")
        if self.text and self.code is None:
            raise wrong("text", "needs a code: the platform shows no text without one")
        return self


def _policy(value: object) -> object:
    return {"policy": value} if isinstance(value, str) else value


Policies = Annotated[
    tuple[Annotated[PolicySettings, BeforeValidator(_policy)], ...], NoDecode, BeforeValidator(comma_separated)
]
