"""The faults' tests share the stand-in delegate with the engines'."""

from tests.engines.conftest import standin as standin
