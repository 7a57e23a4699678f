"""What every package needs of Postgres, and nothing else."""
