"""The program: what shall be delivered, and at which rate at a given time.

A program is a table of segments, each a dose rate from a time of day on certain weekdays. All
therapies are forms of it; ``KINDS`` says which rate each takes:

==========  =====================================================
stopped     no flow; a patient bolus may still be allowed
minimum     the least rate that the limits allow, to keep the catheter open
continuous  one dose rate
profile     up to 24 segments a day, by weekday
==========  =====================================================

Rates are rounded once, here, to whole nL/day (the least programmable rate has 48 000).
"""

import struct

from ..base.compat import TYPE_CHECKING, const
from ..base.sealed import Sealed
from ..base.units import LimitError, check_int, dose_from_volume, rate_from_dose, volume_from_dose
from .calendar import ALL_DAYS, MINUTES_PER_DAY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..base.settings import Limits

KIND_STOPPED = const(0)
KIND_MINIMUM = const(1)
KIND_CONTINUOUS = const(2)
KIND_PROFILE = const(3)
KINDS = ("stopped", "minimum", "continuous", "profile")

# What one program holds beside its segments: name, lowest, highest, unit. Baclofen comes in 50
# (screening) to 2000 ug/mL.
FIELDS = (
    ("concentration_ug_per_ml", 50, 2_000, "ug/mL"),
    ("bolus_dose_ng", 0, 1_000_000, "ng"),
    ("bolus_s", 60, 14_400, "s"),
    ("lockout_s", 300, 86_400, "s"),
    ("daily_cap", 0, 24, ""),
)
MAX_SEGMENTS_PER_DAY = const(24)
# What each segment holds, likewise. A dose rate above its row is refused before it is weighed
# against the limits (keeps sums small).
SEGMENT_FIELDS = (
    ("days", 1, ALL_DAYS, "mask with 1 for Monday"),
    ("start_min", 0, MINUTES_PER_DAY - 1, "min"),
    ("dose_ng_per_day", 1, 100_000_000, "ng/day"),
)
# 32 bits for every value: MicroPython packs what does not fit its field without a word, so a
# narrower one would hide a flipped bit from the seal.
_HEAD = "<IIIIIII"
_SEGMENT = "<III"


def check_field(name: str, value: object, called: str = "") -> int:
    """The value if it is within its row of FIELDS; else LimitError, in which it is ``called``."""
    for field, low, high, unit in FIELDS:
        if field == name:
            return check_int(called or name, value, low, high, unit)
    raise LimitError(f"a program has no field {name!r}")


def check_concentration(concentration_ug_per_ml: object) -> int:
    """The concentration if baclofen comes in it; else LimitError."""
    return check_field("concentration_ug_per_ml", concentration_ug_per_ml)


class Program(Sealed):
    """One therapy, checked by itself when made; ``check_against`` weighs it against the limits.

    ``segments`` are (weekday mask, start in minutes after midnight, dose in ng/day), bit 0 of the
    mask being Monday. The patient bolus is ``bolus_dose_ng`` (0: none) over ``bolus_s``, at most
    ``daily_cap`` in any 24 h and ``lockout_s`` apart; 6 and 60 min are the project's choice.
    """

    def __init__(
        self,
        kind: int,
        concentration_ug_per_ml: int,
        segments: "tuple[tuple[int, int, int], ...]" = (),
        bolus_dose_ng: int = 0,
        bolus_s: int = 600,
        lockout_s: int = 3600,
        daily_cap: int = 6,
    ) -> None:
        self.kind = check_int("kind", kind, 0, len(KINDS) - 1)
        self.concentration_ug_per_ml = check_concentration(concentration_ug_per_ml)
        self.segments = tuple(segments)
        self.bolus_dose_ng = check_field("bolus_dose_ng", bolus_dose_ng)
        self.bolus_s = check_field("bolus_s", bolus_s)
        self.lockout_s = check_field("lockout_s", lockout_s)
        self.daily_cap = check_field("daily_cap", daily_cap)
        self._check_segments()
        self.seal()

    def _check_segments(self) -> None:
        kind, segments = self.kind, self.segments
        if kind <= KIND_MINIMUM:
            if segments:
                raise LimitError(f"a {KINDS[kind]} program has no segments; got {len(segments)}")
            return
        if kind == KIND_CONTINUOUS and (len(segments) != 1 or segments[0][:2] != (ALL_DAYS, 0)):
            raise LimitError("a continuous program has one segment, all days from 00:00")
        (_, day_low, day_high, _), (_, min_low, min_high, _), (_, dose_low, dose_high, _) = (
            SEGMENT_FIELDS
        )
        for days, start_min, dose in segments:
            if not (
                type(days) is type(start_min) is type(dose) is int
                and day_low <= days <= day_high
                and min_low <= start_min <= min_high
                and dose_low <= dose <= dose_high
            ):
                check_int("segment days", days, day_low, day_high)
                check_int("segment start", start_min, min_low, min_high, "min")
                check_int("segment dose", dose, dose_low, dose_high, "ng/day")
        for weekday in range(7):
            starts = [s[1] for s in segments if s[0] >> weekday & 1]
            if not starts or starts[0] != 0:
                raise LimitError(
                    f"weekday {weekday} has no segment at 00:00; each day's first starts there"
                )
            if len(starts) > MAX_SEGMENTS_PER_DAY:
                raise LimitError(
                    f"weekday {weekday} has {len(starts)} segments; at most {MAX_SEGMENTS_PER_DAY}"
                )
            for i in range(1, len(starts)):
                if starts[i] <= starts[i - 1]:
                    raise LimitError(
                        f"weekday {weekday} has segments out of order at minute {starts[i]}; sort "
                        "them by start, none twice"
                    )

    def check_against(self, limits: "Limits") -> None:
        """Raise LimitError if a rate, the daily dose or the bolus passes the limits."""
        self.check_rates(limits)
        self.check_doses(limits, self.day_bound_nl(limits))

    def check_rates(self, limits: "Limits") -> None:
        """The first part of ``check_against``: each segment's rate."""
        low, high = limits.min_rate_nl_per_day, limits.max_rate_nl_per_day
        for _, start_min, dose in self.segments:
            rate = rate_from_dose(dose, self.concentration_ug_per_ml)
            if not low <= rate <= high:
                check_int(f"rate of the segment at minute {start_min}", rate, low, high, "nL/day")

    def check_doses(self, limits: "Limits", bound_nl: int) -> None:
        """The second part, which takes ``day_bound_nl``: the highest 24 h, and the bolus."""
        top_ng = dose_from_volume(bound_nl, self.concentration_ug_per_ml)
        check_int("dose of the highest 24 h", top_ng, 0, limits.max_daily_dose_ng, "ng")
        if self.bolus_dose_ng:
            volume = volume_from_dose(self.bolus_dose_ng, self.concentration_ug_per_ml)
            rate, high = volume * 86_400 // self.bolus_s, limits.max_rate_nl_per_day
            check_int("patient bolus rate", rate, 1, high, "nL/day")

    @property
    def by_clock(self) -> bool:
        """True if its rate depends on the time of day."""
        return self.kind == KIND_PROFILE

    @property
    def kind_name(self) -> str:
        """Its kind, as in KINDS."""
        return KINDS[self.kind]

    def top_rate(self, limits: "Limits") -> int:
        """Highest rate of any day, in nL/day."""
        return max([row[1] for day in range(7) for row in self.day_rates(day, limits)])

    def bolus_nl(self) -> int:
        """Volume of one patient bolus in nL; 0 if none is allowed."""
        return volume_from_dose(self.bolus_dose_ng, self.concentration_ug_per_ml)

    def day_rates(self, weekday: int, limits: "Limits") -> "list[tuple[int, int]]":
        """The (start in minutes, rate in nL/day) of a weekday, 0 being Monday; never empty."""
        if self.kind == KIND_STOPPED:
            return [(0, 0)]
        if self.kind == KIND_MINIMUM:
            return [(0, limits.min_rate_nl_per_day)]
        concentration = self.concentration_ug_per_ml
        return [
            (start_min, rate_from_dose(dose, concentration))
            for mask, start_min, dose in self.segments
            if mask >> weekday & 1
        ]

    def day_total(self, weekday: int, limits: "Limits") -> int:
        """Volume of a weekday in units of nL/day times minutes (1440 of them are 1 nL)."""
        return volume_between(self.day_rates(weekday, limits), 0, MINUTES_PER_DAY)

    def mean_rate(self, limits: "Limits") -> int:
        """Mean rate of the week in nL/day, rounded down."""
        total = sum([self.day_total(weekday, limits) for weekday in range(7)])
        return total // (7 * MINUTES_PER_DAY)

    def day_bound_nl(self, limits: "Limits") -> int:
        """Most that any 24 h of basal can hold, in nL, rounded up.

        For a profile, the mean day and what the profile can be above its mean: from any minute of
        a day on, after the beginning of another day up to that minute. Any two days, as setting
        the date can bring them together; and any end, as a power loss can bring back the mean,
        which is delivered until the midnight after the clock was set. On top of it one hour of
        the highest rate, since a clock change may squeeze or stretch a day by an hour.
        """
        bound_nl = 0
        for found_nl in self.day_bound_in_pieces(limits):
            bound_nl = found_nl
        return bound_nl

    def day_bound_in_pieces(self, limits: "Limits") -> "Iterator[int]":
        """``day_bound_nl``, for whom that takes too long; what comes last is it."""
        if not self.by_clock:
            yield self.day_rates(0, limits)[0][1]
            return
        week = [self.day_rates(weekday, limits) for weekday in range(7)]
        total = sum([volume_between(rates, 0, MINUTES_PER_DAY) for rates in week])
        mean = total // (7 * MINUTES_PER_DAY)  # as in mean_rate
        days: "list[list[tuple[int, int]]]" = []
        for rates in week:
            if rates not in days:
                days.append(rates)
        minutes = sorted({row[0] for rates in days for row in rates})
        # Both parts are convex in the minute, but for the segments' starts: their sum is highest
        # at one of those. Each list has a place for each of them.
        heads, tails = [0] * len(minutes), [0] * len(minutes)
        for rates in days:
            yield 0
            _raise_above(rates, mean, minutes, heads, tails)
        yield 0
        head = above = 0
        for place in range(len(minutes)):
            head = max(head, heads[place])  # of any minute so far
            above = max(above, head + tails[place])
        highest = max([row[1] for rates in days for row in rates])
        yield mean - (-(above + highest * 60) // MINUTES_PER_DAY)

    def pack(self) -> bytes:
        """The program as bytes."""
        place, size = struct.calcsize(_HEAD), struct.calcsize(_SEGMENT)
        data = bytearray(place + size * len(self.segments))
        struct.pack_into(
            _HEAD,
            data,
            0,
            self.kind,
            self.concentration_ug_per_ml,
            self.bolus_dose_ng,
            self.bolus_s,
            self.lockout_s,
            self.daily_cap,
            len(self.segments),
        )
        for mask, start_min, dose in self.segments:
            struct.pack_into(_SEGMENT, data, place, mask, start_min, dose)
            place += size
        return bytes(data)

    @classmethod
    def unpack(cls, data: bytes) -> "Program":
        """The program that ``pack`` made; LimitError if it is not one."""
        head, size = struct.calcsize(_HEAD), struct.calcsize(_SEGMENT)
        if len(data) < head or (len(data) - head) % size:
            raise LimitError(f"{len(data)} bytes are no program")
        kind, concentration, dose_ng, bolus_s, lockout_s, cap, count = struct.unpack(
            _HEAD, data[:head]
        )
        if len(data) != head + count * size:
            raise LimitError(f"{len(data)} bytes are no program of {count} segments")
        segments = [
            struct.unpack(_SEGMENT, data[at : at + size]) for at in range(head, len(data), size)
        ]
        return cls(kind, concentration, tuple(segments), dose_ng, bolus_s, lockout_s, cap)


def continuous(concentration_ug_per_ml: int, dose_ng_per_day: int) -> Program:
    """A program of one dose rate."""
    return Program(KIND_CONTINUOUS, concentration_ug_per_ml, ((ALL_DAYS, 0, dose_ng_per_day),))


def volume_between(rates: "list[tuple[int, int]]", begin: int, end: int) -> int:
    """Volume of a day from minute ``begin`` to ``end``, in nL/day times minutes."""
    total = 0
    until = MINUTES_PER_DAY
    for start_min, rate in reversed(rates):
        span = min(until, end) - max(start_min, begin)
        if span > 0:
            total += span * rate
        until = start_min
    return total


def _raise_above(
    rates: "list[tuple[int, int]]",
    mean: int,
    minutes: "list[int]",
    heads: "list[int]",
    tails: "list[int]",
) -> None:
    """Raise to those of a day, for each of ``minutes``: ``heads`` to its volume above the mean up
    to there; ``tails`` to the most that it is above the mean from there to any later minute."""
    # Volume above the mean up to each segment's start, and up to midnight.
    above = [0]
    for i in range(len(rates)):
        until = rates[i + 1][0] if i + 1 < len(rates) else MINUTES_PER_DAY
        above.append(above[i] + (until - rates[i][0]) * (rates[i][1] - mean))
    i = len(rates) - 1
    most = above[-1]  # of all that are later
    for place in range(len(minutes) - 1, -1, -1):
        minute = minutes[place]
        while rates[i][0] > minute:
            most = max(most, above[i])
            i -= 1
        start_min, rate = rates[i]
        here = above[i] + (minute - start_min) * (rate - mean)
        if here > heads[place]:
            heads[place] = here
        if most - here > tails[place]:
            tails[place] = most - here
