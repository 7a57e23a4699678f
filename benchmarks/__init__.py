"""Measure ratios side by side in one run: `make bench`. Not a test: a slow machine must not fail a build."""
