"""Records of other versions."""

import pytest

from batos.cognition import schema
from batos.errors import ModelError


def test_an_older_record_is_brought_up():
    """A record of the first version gets what it lacks; what it has stays."""
    record = schema.current({"schema": 1, "cycle_id": "c", "selector": "f", "after": "x"})
    assert record["schema"] == schema.VERSION
    assert (record["after"], record["spent"], record["selector"]) == ("x", {}, "f")


def test_a_newer_record_is_refused():
    """A record of a newer BAT OS is not touched: the error names the way out."""
    with pytest.raises(ModelError, match="newer BAT OS"):
        schema.current({"schema": schema.VERSION + 1, "cycle_id": "c"})
