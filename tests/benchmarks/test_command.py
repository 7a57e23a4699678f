"""The command line of the benchmarks; what they measure is no matter of tests."""

import pytest

from benchmarks.__main__ import parsed


@pytest.mark.parametrize(
    ("arguments", "scale", "part"),
    [
        ([], "full", None),
        (["small"], "small", None),
        (["full", "gate"], "full", "gate"),
    ],
)
def test_a_scale_and_a_part_to_measure_can_be_named_or_left_out(arguments, scale, part):
    found = parsed(arguments)
    assert (found.scale, found.part) == (scale, part)


def test_an_unknown_part_is_refused(capsys):
    with pytest.raises(SystemExit):
        parsed(["full", "recommendations"])
    assert "invalid choice: 'recommendations'" in capsys.readouterr().err
