"""What a challenge publishes and hides. Imports nothing of scoring or portal."""
