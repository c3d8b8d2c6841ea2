"""The history of the schema, one step a file; ``portal.store.migrate`` walks it."""
