"""What an RP2040 alone has."""
