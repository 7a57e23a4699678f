"""Rename what earlier versions named in words of their own, and record which version prepared the warehouse."""

from warehouse.migrations.sql import execute

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Rename relations in place, so that privileges and the views that read them stay."""
    execute("""
        alter table gate.told_fields rename to known_fields;
        alter table gate.known_fields rename column told_at to recorded_at;
        alter index gate.told_fields_pkey rename to known_fields_pkey;
        -- batch tables are permanent now, and have other names
        drop table if exists gate.judged_rows, gate.judged_scan;
        -- no longer built
        drop table if exists prep.int_touched_documents;

        create table ops.preparations (
            preparation_seq bigint generated always as identity primary key,
            prepared_at timestamptz not null default clock_timestamp(),
            prepared_by text not null default session_user,
            revision text not null,
            fingerprint text not null
        );
        comment on table ops.preparations is
            'Each preparation for a release: its newest migration, and a hash of the views and functions it made.';
    """)
