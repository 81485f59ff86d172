"""The simulated world: what the rig is physically, apart from what the firmware believes of it.

Pure physics in floats and true microseconds. Nothing here knows the pump core, a board or a clock.
"""

from .config import PlantConfig
from .patient import Patient
from .plant import Plant

__all__ = ["Patient", "Plant", "PlantConfig"]
