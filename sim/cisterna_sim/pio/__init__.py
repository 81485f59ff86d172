"""The RP2040's PIO on the host: an interpreter, an assembler and a board's pins."""
