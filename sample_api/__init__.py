"""Simulate the MooVitamix API: same contract, seeded, evolves day by day, fails on request."""
