"""Run the pipeline: command line, settings, steps, run ledger, schedule and alerts."""
