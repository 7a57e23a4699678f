"""Check whether a load is fit to publish: Great Expectations suites, one per table, and the gate that applies them."""
