"""Format counts, sizes, durations and names for people."""


def count(number: int | None) -> str:
    """Format a number with separators of thousands; a dash if it is unknown."""
    return "–" if number is None else f"{number:,}"


def size(number: float | None) -> str:
    """Format a number of bytes in the largest unit up to GiB."""
    if number is None:
        return "–"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(number) < 1024 or unit == "GiB":
            break
        number /= 1024
    return f"{number:,.0f} {unit}" if unit == "B" or abs(number) >= 100 else f"{number:,.1f} {unit}"


def duration(seconds: float | None) -> str:
    """Format seconds: below a minute with a tenth, below an hour in minutes and seconds, else in hours and minutes."""
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def share(part: float) -> str:
    """Format a share in percent, with three significant digits."""
    if 0 < part < 0.001:
        return "< 0.1%"
    return f"{100 * part:.3g}%"


def spaced(name: str) -> str:
    """Replace the underscores of a name with spaces."""
    return name.replace("_", " ")
