"""What can be changed over telemetry: each function carries out or prepares one command.

The checks are those of the orders (orders.py), made when a change is staged and again when it is
committed: a right key never opens a limit. What a function returns is the reply, or the Change
that is to be staged.
"""

import binascii

from .. import events
from ..base import faults
from ..base.compat import TYPE_CHECKING
from ..base.modes import IDLE, STOPPED, UNCONFIGURED
from ..base.roles import ROLES
from ..base.settings import Limits
from ..base.units import US_PER_S
from ..orders import Refused
from ..parts.bolus import GRANTED, LOCKOUT, REFUSALS
from ..parts.program import KINDS, Program
from .reads import dose_per_day_ng, members, refill_s, remaining_nl
from .staging import Change
from .stream import MIN_PERIOD_MS
from .wire import ILLEGAL_VALUE, OUT_OF_RANGE, PROTECTED, CommandError, to_int

if TYPE_CHECKING:
    from typing import Any

    from .server import Call

OK = "OK"
# Rows of events.EVENTS' KEYS.
_PROVISIONED, _ROTATED, _WIPED = 0, 1, 2


def permille(old: int, new: int) -> "int | None":
    """Change from ``old`` to ``new`` in thousandths of ``old``, to the nearest; None from 0."""
    if not old:
        return None
    return ((new - old) * 2000 + old) // (2 * old)


# -- at once ------------------------------------------------------------------------------------


def stop(call: "Call") -> str:
    """DEL:STOP"""
    call.desk.orders.stop(call.now_us)
    return OK


def suspend(call: "Call") -> str:
    """DEL:SUSP"""
    call.desk.orders.suspend(call.now_us)
    return OK


def resume(call: "Call") -> str:
    """DEL:RES"""
    call.desk.orders.resume(call.now_us)
    return OK


def patient_bolus(call: "Call") -> str:
    """BOL:PAT"""
    reason = call.desk.orders.patient_bolus(call.now_us)
    if reason == LOCKOUT:
        left_us = call.desk.pump.history.locked_until_us - call.now_us
        raise Refused("the bolus is refused: lockout, {} s left".format(-(-left_us // US_PER_S)))
    if reason != GRANTED:
        raise Refused("the bolus is refused: {}".format(REFUSALS[reason]))
    return OK


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


def pause_audio(call: "Call") -> str:
    """ALAR:PAUS"""
    call.desk.orders.pause_audio(call.now_us, call.args[0])
    call.desk.paused_by = call.session
    return OK


def test_alarms(call: "Call") -> str:
    """ALAR:TEST"""
    call.desk.orders.test_alarms(call.now_us)
    return OK


def set_clock(call: "Call") -> str:
    """CLOC:SET"""
    call.desk.orders.set_clock(call.now_us, call.args[0] * US_PER_S)
    return OK


def restart(call: "Call") -> str:
    """*RST"""
    if call.desk.pump.modes.mode not in (UNCONFIGURED, IDLE, STOPPED):
        raise Refused("the pump does not restart while it delivers or is to; stop it first")
    call.desk.restart = True
    return OK


# -- in two steps -------------------------------------------------------------------------------


def stage_program(call: "Call") -> Change:
    """PROG:STAG"""
    orders, pump = call.desk.orders, call.desk.pump
    kind, concentration, bolus_ng, bolus_s, lockout_s, cap = call.args[:6]
    rest = call.args[6:]
    segments = tuple([(rest[i], rest[i + 1], rest[i + 2]) for i in range(0, len(rest), 3)])
    new = Program(KINDS.index(kind), concentration, segments, bolus_ng, bolus_s, lockout_s, cap)
    orders.check_program(new)
    old, limits = pump.memory.program, pump.memory.limits
    old_ng = dose_per_day_ng(old, limits) if old is not None else 0
    new_ng = dose_per_day_ng(new, limits)
    content_nl = remaining_nl(pump)
    old_concentration = _concentration(call)
    summary = members(
        [
            ("old_kind", None if old is None else KINDS[old.kind]),
            ("new_kind", kind),
            ("old_concentration_ug_per_ml", old_concentration),
            ("new_concentration_ug_per_ml", concentration),
            ("old_mean_nl_per_day", None if old is None else old.mean_rate(limits)),
            ("new_mean_nl_per_day", new.mean_rate(limits)),
            ("old_mean_ng_per_day", None if old is None else old_ng),
            ("new_mean_ng_per_day", new_ng),
            ("change_permille", permille(old_ng, new_ng)),
            ("old_bolus_dose_ng", None if old is None else old.bolus_dose_ng),
            ("new_bolus_dose_ng", bolus_ng),
            ("old_refill_in_s", refill_s(pump, old, content_nl)),
            ("new_refill_in_s", refill_s(pump, new, content_nl)),
        ]
    )
    return Change(
        "PROG",
        summary,
        lambda now_us: orders.set_program(now_us, new),
        concentration != old_concentration,
    )


def _concentration(call: "Call") -> "int | None":
    """The concentration that the pump reckons with; None if there is none yet."""
    pump = call.desk.pump
    if pump.ledger.known:
        return pump.ledger.concentration_ug_per_ml
    if pump.memory.program is not None:
        return pump.memory.program.concentration_ug_per_ml
    return None


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
        lambda now_us: orders.refill(now_us, volume_nl, concentration, residual_nl),
        concentration != old,
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
    return Change("BOL", summary, lambda now_us: orders.single_bolus(now_us, dose_ng, duration_s))


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
    return Change("DEL:STAR", summary, orders.start)


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
            raise CommandError(
                ILLEGAL_VALUE, "no limit {}; known: {}".format(name[:40], ", ".join(names))
            )
        if name in named:  # or what is shown first would not be what comes
            raise CommandError(ILLEGAL_VALUE, "{} comes twice; give it once".format(name))
        named.append(name)
        values[name] = to_int(name, call.args[i + 1])
        pairs.append(("old_" + name, getattr(former, name)))
        pairs.append(("new_" + name, values[name]))
    limits = Limits(values)
    orders.check_limits(limits)
    return Change("LIM", members(pairs), lambda now_us: orders.set_limits(now_us, limits), True)


def stage_service(call: "Call") -> Change:
    """SERV:CLE:STAG"""
    orders = call.desk.orders
    code = _fault(call.args[0])
    orders.check_service(code)
    row = faults.FAULTS[code]
    return Change(
        "SERV:CLE",
        members([("fault", row[0]), ("text", row[4])]),
        lambda now_us: orders.service(now_us, code),
    )


# -- keys ---------------------------------------------------------------------------------------


def provision(call: "Call") -> str:
    """KEY:PROV"""
    desk = call.desk
    if desk.keys.provisioned:
        raise CommandError(
            PROTECTED,
            "the pump has keys; rotate them in a service session, or wipe them: hold the button "
            "for the first 5 s after power-on, then KEY:WIPE",
        )
    if not desk.link.local:
        raise CommandError(PROTECTED, "keys are provisioned over USB only")
    confirm_press = desk.pump.confirm_press
    held = desk.pump.hal.button.pressed()
    # Wanted first, so that the press is taken for this and asks for no bolus.
    if not confirm_press.wanted or not confirm_press.pressed or not held:
        if not confirm_press.wanted:
            confirm_press.want()
            desk.provision_until_us = call.now_us + 60 * US_PER_S
        raise CommandError(
            PROTECTED, "press the pump's button now, hold it, and send this again within 60 s"
        )
    confirm_press.drop()
    desk.provision_until_us = 0  # or its end would take the press from what is staged by then
    desk.keys.provision([binascii.unhexlify(key) for key in call.args])
    _log_keys(call, call.now_us, _PROVISIONED)
    return OK


def wipe(call: "Call") -> str:
    """KEY:WIPE"""
    desk = call.desk
    if call.now_us >= desk.wipe_until_us:
        raise CommandError(
            PROTECTED,
            "keys can be wiped for 60 s after a start during whose first 5 s the button was held",
        )
    desk.sessions.end_all()
    desk.staging.drop()
    desk.keys.wipe()
    desk.wipe_until_us = 0
    _log_keys(call, call.now_us, _WIPED)
    return OK


def stage_rotation(call: "Call") -> Change:
    """KEY:ROT:STAG"""
    desk, session = call.desk, call.session
    assert session is not None
    role = ROLES.index(call.args[0])
    pad = session.wrap(call.request.counter)
    wrapped = binascii.unhexlify(call.args[1])
    key = bytes([wrapped[i] ^ pad[i] for i in range(len(pad))])

    def act(now_us: int) -> None:
        desk.keys.rotate(role, key)
        desk.sessions.withdraw()
        for other in list(desk.sessions.open):
            if other.role == role and other is not session:
                desk.sessions.end(other)
        _log_keys(call, now_us, _ROTATED)

    return Change(
        "KEY:ROT",
        members(
            [
                ("of", ROLES[role]),
                ("old_fingerprint", desk.keys.fingerprint(role)),
                ("new_fingerprint", desk.keys.print_of(key)),
            ]
        ),
        act,
    )


def _log_keys(call: "Call", now_us: int, what: int) -> None:
    pump = call.desk.pump
    pump.log.add(now_us, events.KEYS, what, 0)


# -- the session itself -------------------------------------------------------------------------


def hello(call: "Call") -> str:
    """AUTH:HELL"""
    role, nonce = call.args
    return call.desk.sessions.hello(call.now_us, ROLES.index(role), nonce)


def prove(call: "Call") -> str:
    """AUTH:PROV"""
    return call.desk.sessions.prove(call.now_us, call.args[0], call.args[1])


def bye(call: "Call") -> str:
    """AUTH:BYE"""
    assert call.session is not None
    call.desk.sessions.end(call.session)
    return OK


def telemetry_mac(call: "Call") -> str:
    """TEL:MAC"""
    assert call.session is not None
    call.session.telemetry_mac = bool(call.args[0])
    return OK


def telemetry_period(call: "Call") -> str:
    """TEL:PER"""
    period_ms = call.args[0]
    if 0 < period_ms < MIN_PERIOD_MS:
        raise CommandError(
            OUT_OF_RANGE,
            "period_ms = {} ms is under {} ms; give 0 for none".format(period_ms, MIN_PERIOD_MS),
        )
    call.desk.reports.set_period(call.now_us, period_ms)
    return OK


def confirm(call: "Call") -> str:
    """CONF"""
    assert call.session is not None
    call.desk.staging.confirm(call.now_us, call.args[0], call.args[1], call.session.role)
    return OK


def commit(call: "Call") -> str:
    """The COMM of every two-step command"""
    assert call.session is not None
    call.desk.staging.commit(
        call.now_us, call.row[0][: -len(":COMM")], call.args[0], call.args[1],
        call.session.role,
    )  # fmt: skip
    return OK


def drop(call: "Call") -> str:
    """STAG:DROP"""
    call.desk.staging.drop()
    return OK
