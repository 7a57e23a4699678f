"""A stand-in for the MooVitamix API: same contract, seeded, evolves day by day, misbehaves on request."""
