"""The simulated rig: plant, virtual clock, scenarios, and an emulated Pico."""
