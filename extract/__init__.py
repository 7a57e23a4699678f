"""Copy the API page by page into Postgres schema `staging`, as raw JSON. The entry point is `extraction.run`."""
