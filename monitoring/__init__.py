"""What runs tell the outside, read from their records in `ops` and `gate`: metrics, alert rules, dashboard, report."""
