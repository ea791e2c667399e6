"""Where the services are that a screener asks."""

import pytest


@pytest.fixture
def addresses(services):
    """host:port by service, as a screener takes them."""
    return {name: f"127.0.0.1:{running.port}" for name, running in services.items()}
