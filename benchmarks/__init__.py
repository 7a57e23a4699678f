"""Ratios, measured side by side in one run: `make bench`. Never a test: a machine's mood must not turn a build red."""
