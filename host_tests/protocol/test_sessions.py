"""Every rule of the protocol, on the shipped C under sanitizers, against a second implementation in Python."""

from __future__ import annotations

import pytest

from host_tests.protocol.programs import fake_device
from host_tests.protocol.sessions import NET, check, scripts
from host_tests.support.builds import COMPILERS

SCRIPTS = scripts()


@pytest.mark.parametrize("cc", COMPILERS)
@pytest.mark.parametrize("name", SCRIPTS)
def test_answers_are_the_oracles(name: str, cc: str) -> None:
    script = SCRIPTS[name]
    check(fake_device(cc, trace=script.trace, faults=script.faults), NET, script.stream)
