"""A project as the documentation tells users to make one: .env from .env.example, and files in secrets/."""

import secrets
from dataclasses import dataclass
from pathlib import Path

from containers.docker import ROOT

SETTINGS = """
PUSHLANE_CHANNELS__DEMO__RATE_LIMIT=none
PUSHLANE_API_KEYS__SHOP__KEY_FILE=/run/secrets/shop-key
PUSHLANE_API_KEYS__SHOP__CHANNELS=demo
"""


@dataclass(frozen=True)
class Secrets:
    """What no `docker inspect` may show."""

    redis_password: str
    flower_login: str
    shop_key: str

    def shown_in(self, text: str) -> list[str]:
        """Which of them a text contains."""
        flower_password = self.flower_login.partition(":")[2]
        known = {"redis": self.redis_password, "flower": flower_password, "shop": self.shop_key}
        return [name for name, secret in known.items() if secret in text]


def lay_out(folder: Path) -> Secrets:
    """Writes the files."""
    made = Secrets(secrets.token_hex(24), f"admin:{secrets.token_hex(12)}", secrets.token_hex(32))
    (folder / ".env").write_text((ROOT / ".env.example").read_text() + SETTINGS)
    (folder / "secrets" / "tokens").mkdir(parents=True)
    for name, secret in (
        ("redis-password", made.redis_password),
        ("flower-login", made.flower_login),
        ("tokens/shop-key", made.shop_key),
    ):
        (folder / "secrets" / name).write_text(f"{secret}\n")
    return made
