"""One builder a challenge: writes the whole challenge directory."""
