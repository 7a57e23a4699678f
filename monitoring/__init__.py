"""What a run tells the outside: metrics, alert rules, dashboard, report."""
