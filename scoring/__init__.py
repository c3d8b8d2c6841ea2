"""From a ticket to a report, the same on any machine. Imports nothing of portal."""
