"""Test the command line of the benchmarks, not their measurements."""

import pytest

from benchmarks.__main__ import parse_arguments


@pytest.mark.parametrize(
    ("arguments", "scale", "part"),
    [
        ([], "full", None),
        (["small"], "small", None),
        (["full", "gate"], "full", "gate"),
    ],
)
def test_a_scale_and_a_part_to_measure_can_be_named_or_left_out(arguments, scale, part):
    found = parse_arguments(arguments)
    assert (found.scale, found.part) == (scale, part)


def test_an_unknown_part_is_refused(capsys):
    with pytest.raises(SystemExit):
        parse_arguments(["full", "recommendations"])
    assert "invalid choice: 'recommendations'" in capsys.readouterr().err
