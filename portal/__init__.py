"""People, challenges, decisions."""
