"""The night in order: settings, steps, command line, run ledger, and the embedded Postgres."""
