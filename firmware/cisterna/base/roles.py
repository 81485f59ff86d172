"""The roles of people. None is above another: each command names those that may give it."""

from .compat import const

OBSERVER = const(0)
PATIENT = const(1)
CLINICIAN = const(2)
SERVICE = const(3)
ROLES = ("observer", "patient", "clinician", "service")
