"""What can be changed over telemetry: each function carries out or prepares one command.

The checks are those of the orders (orders.py), made when a change is staged and again when it is
committed: a right key never opens a limit. What a function returns is the reply, or the Change
that is to be staged.
"""

from ..base import faults
from ..base.compat import TYPE_CHECKING
from ..base.modes import IDLE, STOPPED, UNCONFIGURED
from ..base.settings import Limits
from ..base.units import US_PER_S, dose_from_volume
from ..orders import Refused
from ..parts.bolus import GRANTED, LOCKOUT, REFUSALS
from ..parts.program import KINDS, Program
from .figures import dose_per_day_ng, members, refill_s, remaining_nl
from .rows import Rows
from .staging import Change
from .stream import MIN_PERIOD_MS
from .two_steps import OK, two_steps
from .wire import ILLEGAL_VALUE, OUT_OF_RANGE, CommandError, to_int

if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from .desk import Call

ROWS = Rows()


def permille(old: int, new: int) -> "int | None":
    """Change from ``old`` to ``new`` in thousandths of ``old``, to the nearest; None from 0."""
    if not old:
        return None
    return ((new - old) * 2000 + old) // (2 * old)


@ROWS.add("*CLS", "link | - | OK | Empty the error queue")
def clear(call: "Call") -> str:
    """Forget all errors."""
    call.desk.errors.clear()
    return OK


@ROWS.add("DEL:STOP", "change cs | - | OK | Stop until started again")
def stop(call: "Call") -> str:
    """DEL:STOP"""
    call.desk.orders.stop(call.now_us)
    return OK


@ROWS.add("DEL:SUSP", "change cs | - | OK | Suspend for 2 min, or renew a suspension")
def suspend(call: "Call") -> str:
    """DEL:SUSP"""
    call.desk.orders.suspend(call.now_us)
    return OK


@ROWS.add("DEL:RES", "change cs | - | OK | Go on after a suspension or an acknowledged fault")
def resume(call: "Call") -> str:
    """DEL:RES"""
    call.desk.orders.resume(call.now_us)
    return OK


@ROWS.add("BOL:PAT", "change pc | - | OK | Ask for the patient's bolus")
def patient_bolus(call: "Call") -> str:
    """BOL:PAT"""
    reason = call.desk.orders.patient_bolus(call.now_us)
    if reason == LOCKOUT:
        left_us = call.desk.pump.history.locked_until_us - call.now_us
        raise Refused(f"the bolus is refused: lockout, {-(-left_us // US_PER_S)} s left")
    if reason != GRANTED:
        raise Refused(f"the bolus is refused: {REFUSALS[reason]}")
    return OK


@ROWS.add("ALAR:ACK", "change cs | alarm* | OK | Acknowledge alarms by name, or ALL")
def acknowledge(call: "Call") -> str:
    """ALAR:ACK"""
    mask = 0
    for name in call.args:
        if name.upper() == "ALL":
            mask = (1 << len(faults.FAULTS)) - 1
        else:
            mask |= 1 << _fault(name)
    call.desk.orders.acknowledge(call.now_us, mask)
    return OK


def _fault(name: str) -> int:
    try:
        return faults.code_of(name[:40].upper())
    except ValueError as unknown:
        raise CommandError(ILLEGAL_VALUE, str(unknown)) from unknown


@ROWS.add("ALAR:PAUS", "change cs | pause_s 1..120 s | OK | Silence the alarms for a while")
def pause_audio(call: "Call") -> str:
    """ALAR:PAUS"""
    call.desk.orders.pause_audio(call.now_us, call.args[0])
    call.desk.paused_by = call.session
    return OK


@ROWS.add("ALAR:TEST", "change cs | - | OK | Sound every priority")
def test_alarms(call: "Call") -> str:
    """ALAR:TEST"""
    call.desk.orders.test_alarms(call.now_us)
    return OK


@ROWS.add(
    "CLOC:SET",
    "change cs | wall_s 0..3155760000 s since 2000-01-01 00:00 local | OK | Set the wall "
    "clock; never changes the daily total",
)
def set_clock(call: "Call") -> str:
    """CLOC:SET"""
    call.desk.orders.set_clock(call.now_us, call.args[0] * US_PER_S)
    return OK


@ROWS.add("*RST", "change s | - | OK | Restart a pump that is at rest")
def restart(call: "Call") -> str:
    """*RST"""
    if call.desk.pump.modes.mode not in (UNCONFIGURED, IDLE, STOPPED):
        raise Refused("the pump does not restart while it delivers or is to; stop it first")
    call.desk.restart = True
    return OK


@two_steps(
    ROWS,
    "PROG",
    "session c | kind KINDS, concentration_ug_per_ml, bolus_dose_ng, bolus_s, lockout_s, "
    "daily_cap, [days*], [start_min*], [dose_ng_per_day*] | JSON | Prepare a program",
)
def stage_program(call: "Call") -> "Generator[None, int, Change]":
    """A program is weighed a piece at a time: a long one takes longer than a step may wait."""
    call.now_us = yield
    orders, pump = call.desk.orders, call.desk.pump
    kind, concentration, bolus_ng, bolus_s, lockout_s, cap = call.args[:6]
    rest = call.args[6:]
    segments = tuple([(rest[i], rest[i + 1], rest[i + 2]) for i in range(0, len(rest), 3)])
    new = Program(KINDS.index(kind), concentration, segments, bolus_ng, bolus_s, lockout_s, cap)
    call.now_us = yield
    new_bound_nl = 0
    for found_nl in orders.check_program_in_pieces(new):
        new_bound_nl = found_nl
        call.now_us = yield
    old, limits = pump.memory.program, pump.memory.limits
    old_mean = None if old is None else old.mean_rate(limits)
    new_mean = new.mean_rate(limits)
    call.now_us = yield
    old_ng = 0 if old is None else dose_from_volume(old_mean or 0, old.concentration_ug_per_ml)
    new_ng = dose_from_volume(new_mean, concentration)
    content_nl = remaining_nl(pump)
    old_concentration = _concentration(call)
    old_bound_nl = 0
    for found_nl in () if old is None else old.day_bound_in_pieces(limits):
        old_bound_nl = found_nl
        call.now_us = yield
    summary = members(
        [
            ("old_kind", None if old is None else KINDS[old.kind]),
            ("new_kind", kind),
            ("old_concentration_ug_per_ml", old_concentration),
            ("new_concentration_ug_per_ml", concentration),
            ("old_mean_nl_per_day", old_mean),
            ("new_mean_nl_per_day", new_mean),
            ("old_mean_ng_per_day", None if old is None else old_ng),
            ("new_mean_ng_per_day", new_ng),
            ("change_permille", permille(old_ng, new_ng)),
            ("old_bolus_dose_ng", None if old is None else old.bolus_dose_ng),
            ("new_bolus_dose_ng", bolus_ng),
            ("old_refill_in_s", refill_s(pump, old, content_nl, old_bound_nl)),
            ("new_refill_in_s", refill_s(pump, new, content_nl, new_bound_nl)),
        ]
    )
    return Change("PROG", summary, "set_program", (new,), concentration != old_concentration)


def _concentration(call: "Call") -> "int | None":
    """The concentration that the pump reckons with; None if there is none yet."""
    pump = call.desk.pump
    if pump.ledger.known:
        return pump.ledger.concentration_ug_per_ml
    if pump.memory.program is not None:
        return pump.memory.program.concentration_ug_per_ml
    return None


@two_steps(
    ROWS,
    "RES:REF",
    "session c | volume_nl 1..50000000 nL, concentration_ug_per_ml, [residual_nl 0..50000000 "
    "nL] | JSON | Prepare a refill; residual is what was drawn off before",
)
def stage_refill(call: "Call") -> Change:
    """RES:REF:STAG"""
    orders, pump = call.desk.orders, call.desk.pump
    volume_nl, concentration = call.args[:2]
    residual_nl = call.args[2] if len(call.args) > 2 else None
    orders.check_refill(volume_nl, concentration, residual_nl)
    ledger, old = pump.ledger, _concentration(call)
    off = residual_nl is not None and ledger.known and ledger.discrepancy(residual_nl)
    content_nl, program = remaining_nl(pump), pump.memory.program
    summary = members(
        [
            ("old_remaining_nl", content_nl),
            ("residual_nl", residual_nl),
            ("discrepancy", off),
            ("new_volume_nl", volume_nl),
            ("old_concentration_ug_per_ml", old),
            ("new_concentration_ug_per_ml", concentration),
            ("old_refill_in_s", refill_s(pump, program, content_nl)),
            ("new_refill_in_s", refill_s(pump, program, volume_nl)),
        ]
    )
    return Change(
        "RES:REF",
        summary,
        "refill",
        (volume_nl, concentration, residual_nl),
        concentration != old,
    )


@two_steps(
    ROWS,
    "BOL",
    "session c | dose_ng 1..5000000 ng, duration_s bolus_s | JSON | Prepare a single bolus",
)
def stage_bolus(call: "Call") -> Change:
    """BOL:STAG"""
    orders, pump = call.desk.orders, call.desk.pump
    dose_ng, duration_s = call.args
    volume_nl = orders.check_single_bolus(dose_ng, duration_s)
    given_ng = pump.history.dose_ng(call.now_us)
    summary = members(
        [
            ("dose_ng", dose_ng),
            ("volume_nl", volume_nl),
            ("duration_s", duration_s),
            ("old_dose_24h_ng", given_ng),
            ("new_dose_24h_ng", given_ng + dose_ng),
            ("basal_nl_per_day", pump.schedule.rate_nl_per_day),
        ]
    )
    return Change("BOL", summary, "single_bolus", (dose_ng, duration_s))


@two_steps(ROWS, "DEL:STAR", "session c | - | JSON | Prepare to start the program")
def stage_start(call: "Call") -> Change:
    """DEL:STAR:STAG"""
    orders, pump = call.desk.orders, call.desk.pump
    orders.check_start()
    program, limits = pump.memory.program, pump.memory.limits
    assert program is not None
    summary = members(
        [
            ("kind", KINDS[program.kind]),
            ("new_mean_nl_per_day", program.mean_rate(limits)),
            ("new_mean_ng_per_day", dose_per_day_ng(program, limits)),
            ("remaining_nl", remaining_nl(pump)),
            ("new_refill_in_s", refill_s(pump, program, remaining_nl(pump))),
        ]
    )
    return Change("DEL:STAR", summary, "start", ())


@two_steps(ROWS, "LIM", "session s | name*, value* | JSON | Prepare new limits, by name and value")
def stage_limits(call: "Call") -> Change:
    """LIM:STAG"""
    orders, former = call.desk.orders, call.desk.pump.memory.limits
    names = [row[0] for row in Limits.FIELDS]
    values: "dict[str, Any]" = {name: getattr(former, name) for name in names}
    pairs: "list[tuple[str, object]]" = []
    named: "list[str]" = []
    for i in range(0, len(call.args), 2):
        name = call.args[i].lower()
        if name not in names:
            raise CommandError(ILLEGAL_VALUE, f"no limit {name[:40]}; known: {', '.join(names)}")
        if name in named:  # or what is shown first would not be what comes
            raise CommandError(ILLEGAL_VALUE, f"{name} comes twice; give it once")
        named.append(name)
        values[name] = to_int(name, call.args[i + 1])
        pairs.append(("old_" + name, getattr(former, name)))
        pairs.append(("new_" + name, values[name]))
    limits = Limits(values)
    orders.check_limits(limits)
    return Change("LIM", members(pairs), "set_limits", (limits,), True)


@two_steps(
    ROWS,
    "SERV:CLE",
    "session s | fault | JSON | Prepare to end a fault that is latched for service",
)
def stage_service(call: "Call") -> Change:
    """SERV:CLE:STAG"""
    orders = call.desk.orders
    code = _fault(call.args[0])
    orders.check_service(code)
    row = faults.FAULTS[code]
    summary = members([("fault", row[0]), ("text", row[4])])
    return Change("SERV:CLE", summary, "service", (code,))


@ROWS.add(
    "TEL:PER",
    "link | period_ms 0..3600000 ms | OK | Telemetry lines every so often from 100 ms on; 0 "
    "for none",
)
def telemetry_period(call: "Call") -> str:
    """TEL:PER"""
    period_ms = call.args[0]
    if 0 < period_ms < MIN_PERIOD_MS:
        raise CommandError(
            OUT_OF_RANGE,
            f"period_ms = {period_ms} ms is under {MIN_PERIOD_MS} ms; give 0 for none",
        )
    call.desk.stream.set_period(call.now_us, period_ms)
    return OK


@ROWS.add(
    "CONF",
    "session cs | id 0..999999999999999, echo hex8 | OK | Confirm, as a second role, what is "
    "staged",
)
def confirm(call: "Call") -> str:
    """CONF"""
    assert call.session is not None
    call.desk.staging.confirm(call.now_us, call.args[0], call.args[1], call.session.role)
    return OK


@ROWS.add("STAG:DROP", "session cs | - | OK | Forget what is staged")
def drop(call: "Call") -> str:
    """STAG:DROP"""
    call.desk.staging.drop()
    return OK
