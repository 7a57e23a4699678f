"""Show a number with its noun and verb in messages."""


def count(number: float, noun: str) -> str:
    """Return the number with its noun: 1 row, 2,000 rows, 0.5 seconds."""
    if number == 1:
        return f"1 {noun}"
    is_whole = isinstance(number, float) and number.is_integer()
    return f"{int(number) if is_whole else number:,} {noun}s"


def be(number: float) -> str:
    """Return the verb for so many: 1 row is, 2 rows are."""
    return "is" if number == 1 else "are"
