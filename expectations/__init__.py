"""Is tonight's load fit to build on? Great Expectations suites, one per table, and the gate that acts on them."""
