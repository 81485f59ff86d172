"""The parts of the emulated board rig: chip, flash, wires."""
