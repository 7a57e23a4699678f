"""Share what every package needs of Postgres: connections, locks, roles, names, the embedded server."""
