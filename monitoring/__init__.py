"""What operators watch, read from the records of runs in `ops` and `gate`: metrics, alert rules, dashboard, report."""
