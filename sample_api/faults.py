"""Define the faults as data: their names, their notation, and which of them applies to a request.

Notation: `NAME[@TABLE][:TIMES][=VALUE]`, for instance `latency=0.03`, `server_error@tracks:2=1` (the first
two requests for tracks return 500) or `down`. Every n-th request and TIMES are counted per path. A fault limited to a
table replaces, for that table, the general fault of the same name.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from sample_api.tables import TABLES

MIDDLE = "middle"


@dataclass(frozen=True)
class EveryNth:
    """Apply to requests n, 2n, 3n ...; `option` is the value after the slash."""

    n: int
    option: int | None = None


@dataclass(frozen=True)
class OnPage:
    """Apply to one page (a number or "middle"), by `amount` rows if the fault has an amount."""

    page: int | str
    amount: int = 0

    def is_page(self, page: int, pages: int, first: int = 1) -> bool:
        wanted = max(first, (pages + 1) // 2) if self.page == MIDDLE else self.page
        return page == wanted


@dataclass(frozen=True)
class LargestSize:
    """Serve at most `rows` on a page; with `is_unsaid`, the page still claims the size that was asked for."""

    rows: int
    is_unsaid: bool = False


@dataclass(frozen=True)
class Share:
    """Hold a share of a table's rows in (0, 1], drawn with `seed`."""

    share: float
    seed: int = 7


@dataclass(eq=False)
class Rule:
    """Hold one requested fault, and its counters of requests and hits per path."""

    name: str
    value: Any
    table: str | None = None
    times: int | None = None
    met: Counter[str] = field(default_factory=Counter)
    struck: Counter[str] = field(default_factory=Counter)

    def concerns(self, path: str) -> bool:
        return self.table is None or path == f"/{self.table}"

    def strikes(self, path: str) -> bool:
        """Count this request, and return whether the fault hits it."""
        self.met[path] += 1
        if isinstance(self.value, EveryNth) and self.met[path] % self.value.n:
            return False
        if self.times is not None and self.struck[path] >= self.times:
            return False
        self.struck[path] += 1
        return True


class Faults:
    """Hold the active faults. They may be changed while a server runs.

    `Faults("latency=0.03", "wrong_total@tracks=1")`, then `faults.add("down:2")`, `faults.clear("latency")`,
    `faults.clear()`; `faults.latency = 0.1` is short for adding "latency=0.1". Adding a fault replaces the
    one with the same name and table, with counters at 0. Raises ValueError for what the notation does not
    allow.
    """

    _rules: tuple[Rule, ...]

    def __init__(self, *texts: str) -> None:
        object.__setattr__(self, "_rules", ())
        for text in texts:
            self.add(text)

    def __setattr__(self, name: str, value: object) -> None:
        self.add(f"{name}={value}")

    def add(self, text: str) -> None:
        rule = parse(text)
        kept = (old for old in self._rules if (old.name, old.table) != (rule.name, rule.table))
        # One assignment, because the server's thread reads the rules at the same time.
        object.__setattr__(self, "_rules", (*kept, rule))

    def clear(self, name: str | None = None) -> None:
        """End the faults of that name, or all."""
        kept = tuple(rule for rule in self._rules if name is not None and rule.name != name)
        object.__setattr__(self, "_rules", kept)

    def rule(self, path: str, name: str) -> Rule | None:
        """Return the rule of this name for the path, preferably the one limited to its table."""
        rules = [rule for rule in self._rules if rule.name == name and rule.concerns(path)]
        return max(rules, key=lambda rule: rule.table is not None, default=None)

    def strike(self, path: str, *names: str) -> Rule | None:
        """Return the first of these faults that hits the current request."""
        rules = (self.rule(path, name) for name in names)
        return next((rule for rule in rules if rule and rule.strikes(path)), None)


def parse(text: str) -> Rule:
    """Parse one rule from `NAME[@TABLE][:TIMES][=VALUE]`. Raises ValueError with a sentence that names the text."""
    head, _, value = text.partition("=")
    head, has_times, times = head.partition(":")
    name, has_table, table = head.partition("@")
    name = name.strip().replace("-", "_")
    if name not in READERS:
        raise ValueError(f"no fault is called {name!r}; there are {', '.join(sorted(READERS))}")
    if has_table and table not in TABLES:
        raise ValueError(f"{text!r}: the table is one of {', '.join(TABLES)}")
    if has_times and not (times.isdecimal() and int(times) > 0):
        raise ValueError(f"{text!r}: how often (after the colon) is a whole number above 0")
    if has_times and name in LASTING:
        raise ValueError(f"{text!r}: {name} is about rows, not requests: no number of times")
    reads, example = READERS[name]
    try:
        read = reads(value)
    except ValueError:
        raise ValueError(f"{text!r}: write it like {example}") from None
    return Rule(name, read, table or None, int(times) if has_times else None)


def faults_from(faults: "Faults | Iterable[str]") -> Faults:
    return faults if isinstance(faults, Faults) else Faults(*faults)


def _whole(text: str, least: int) -> int:
    number = int(text)
    if number < least:
        raise ValueError
    return number


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < float("inf"):
        raise ValueError
    return seconds


def _every_nth(text: str) -> EveryNth:
    return EveryNth(_whole(text or "1", 1))


def _every_nth_then_wait(text: str) -> EveryNth:
    nth, _, seconds = text.partition("/")
    return EveryNth(_whole(nth or "1", 1), _whole(seconds or "1", 0))


def _page(text: str) -> OnPage:
    return OnPage(MIDDLE if text in ("", MIDDLE) else _whole(text, 1))


def _amount_on_page(text: str) -> OnPage:
    amount, _, page = text.partition("/")
    if int(amount or "1") == 0:
        raise ValueError
    return OnPage(_page(page).page, int(amount or "1"))


def _share(text: str) -> Share:
    share, _, seed = text.partition("/")
    if not 0 < float(share) <= 1:
        raise ValueError
    return Share(float(share), int(seed or "7"))


def _flag(text: str) -> None:
    if text not in ("", "1", "True"):
        raise ValueError


def _largest_size(text: str) -> LargestSize:
    rows, _, manner = text.partition("/")
    if manner not in ("", "unsaid"):
        raise ValueError
    return LargestSize(_whole(rows, 1), bool(manner))


def _is_absent_total(text: str) -> bool:
    """Return whether the field is absent."""
    if text not in ("", "null", "absent"):
        raise ValueError
    return text == "absent"


def _encoding(text: str) -> str:
    if text not in ("utf-8-sig", "utf-16", "utf-16-le", "utf-32"):
        raise ValueError
    return text


def _address(text: str) -> str:
    if not text.isprintable() or " " in text or not text:
        raise ValueError
    return text


READERS: dict[str, tuple[Callable[[str], Any], str]] = {
    "latency": (_seconds, "latency=0.03"),
    "down": (_flag, "down"),
    "hang": (_every_nth, "hang=3"),
    "redirect": (_address, "redirect=http://127.0.0.1:9/"),
    "slash": (_flag, "slash"),
    "refused_size": (lambda text: _whole(text, 1), "refused_size=50"),
    "rate_limit": (_every_nth_then_wait, "rate_limit=5/2 (every 5th request, Retry-After 2)"),
    "server_error": (_every_nth, "server_error=3"),
    "error_body": (_every_nth, "error_body=3"),
    "html": (_every_nth, "html=3"),
    "truncated": (_every_nth, "truncated=3"),
    "no_items": (_every_nth, "no_items=3"),
    "no_total": (_is_absent_total, "no_total or no_total=absent"),
    "encoding": (_encoding, "encoding=utf-8-sig or encoding=utf-16"),
    "largest_size": (_largest_size, "largest_size=50 or largest_size=50/unsaid"),
    "wrong_total": (_amount_on_page, "wrong_total=1 or wrong_total=-1/2 (page 2 says one less)"),
    "short_page": (_page, "short_page=2 or short_page=middle"),
    "empty_page": (_page, "empty_page=2 or empty_page=middle"),
    "repeated_page": (_page, "repeated_page=2 or repeated_page=middle"),
    "bad_rows": (_share, "bad_rows=0.05 or bad_rows=0.05/11 (seed 11)"),
    "bulk_removal": (_share, "bulk_removal=0.5 or bulk_removal=0.5/11 (seed 11)"),
    "empty": (_flag, "empty@tracks"),
    "moving": (lambda text: _whole(text, 1), "moving=3"),
}

# These faults change the content of the tables for all requests while they are active.
LASTING = ("bad_rows", "bulk_removal", "empty", "moving")
