"""Registration: how people come to a symposium, wait for a place, look after their registration and join."""
