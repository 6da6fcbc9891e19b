"""A channel of the kind `cinnox`."""

import pytest
from support.channels import channel_with
from support.cinnox import token

from pushlane_worker.channels.cinnox import Cinnox


@pytest.fixture
def cinnox() -> Cinnox:
    """A channel without codes of its operator's."""
    return Cinnox(channel_with(), token)
