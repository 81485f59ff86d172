"""What every floor above builds on: units, faults, modes, settings, records, ports."""
