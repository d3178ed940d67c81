"""The Akash adapter keeps the contract of every market, against the double."""

import pytest

from overspill.testing.contract import ProviderContract

from .akash_rig import DoubleRig, double_rig


class TestAkashOnADouble(ProviderContract):
    @pytest.fixture
    def rig(self) -> DoubleRig:
        return double_rig()
