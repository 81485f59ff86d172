"""Who may do anything at all: keys, and the sessions that prove them, over telemetry."""

import binascii

from ..base.compat import TYPE_CHECKING
from ..base.roles import ROLES
from ..base.units import US_PER_S
from .desk import PROVISIONED, WIPED
from .figures import members
from .rows import Rows
from .staging import Change
from .two_steps import OK, two_steps
from .wire import PROTECTED, CommandError

if TYPE_CHECKING:
    from .desk import Call

ROWS = Rows()


@ROWS.add(
    "KEY:PROV",
    "open | observer hex64, patient hex64, clinician hex64, service hex64 | OK | Give a pump "
    "without keys its keys; USB, and the button held",
)
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
    desk.log_keys(call.now_us, PROVISIONED)
    return OK


@ROWS.add(
    "KEY:WIPE",
    "open | - | OK | Forget all keys, within 60 s of a start with the button held for its "
    "first 5 s",
)
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
    desk.log_keys(call.now_us, WIPED)
    return OK


@two_steps(
    ROWS,
    "KEY:ROT",
    "session s | role ROLES, wrapped hex64 | JSON | Prepare a new key for a role, wrapped "
    "for this session",
)
def stage_rotation(call: "Call") -> Change:
    """KEY:ROT:STAG"""
    desk, session = call.desk, call.session
    assert session is not None
    role = ROLES.index(call.args[0])
    pad = session.wrap(call.request.counter)
    wrapped = binascii.unhexlify(call.args[1])
    key = bytes([wrapped[i] ^ pad[i] for i in range(len(pad))])
    summary = members(
        [
            ("of", ROLES[role]),
            ("old_fingerprint", desk.keys.fingerprint(role)),
            ("new_fingerprint", desk.keys.print_of(key)),
        ]
    )
    return Change("KEY:ROT", summary, "rotate", (role, key))


@ROWS.add(
    "AUTH:HELL", "open | role ROLES, nonce hex32 | session,nonce,counter | Ask for a session"
)
def hello(call: "Call") -> str:
    """AUTH:HELL"""
    role, nonce = call.args
    return call.desk.sessions.hello(call.now_us, ROLES.index(role), nonce)


@ROWS.add(
    "AUTH:PROV", "open | session hex4, mac hex32 | mac | Prove the role's key and open the session"
)
def prove(call: "Call") -> str:
    """AUTH:PROV"""
    return call.desk.sessions.prove(call.now_us, call.args[0], call.args[1])


@ROWS.add("AUTH:BYE", "session opcs | - | OK | End the session")
def bye(call: "Call") -> str:
    """AUTH:BYE"""
    assert call.session is not None
    call.desk.sessions.end(call.session)
    return OK


@ROWS.add("TEL:MAC", "session opcs | on 0..1 | OK | Put this session's MAC on telemetry lines")
def telemetry_mac(call: "Call") -> str:
    """TEL:MAC"""
    assert call.session is not None
    call.session.telemetry_mac = bool(call.args[0])
    return OK
