"""What an ESP32 alone has."""
