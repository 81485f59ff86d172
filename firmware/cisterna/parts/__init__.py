"""Pure arithmetic: each file one part of the pump, none of which knows another's owner."""
