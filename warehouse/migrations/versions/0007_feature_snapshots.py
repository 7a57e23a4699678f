"""Store the features of users as they were known at a moment."""

from warehouse.migrations.sql import execute

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Create the tables of snapshots, and drop two views that no model reads any more."""
    execute("""
        create table features.snapshots (
            snapshot_id bigint generated always as identity primary key,
            taken_at timestamptz not null default now(),
            feature_set text not null,
            version integer not null,
            as_of timestamptz not null,
            until_seq bigint not null,
            users bigint not null default 0,
            listens bigint not null default 0,
            erased_users bigint not null default 0,
            definition text not null,
            fingerprint text
        );
        comment on table features.snapshots is
            'Each stored snapshot: the features of all users as known at a moment. Later decisions do not change it.';
        comment on column features.snapshots.taken_at is 'When the snapshot was stored.';
        comment on column features.snapshots.feature_set is 'The dbt model that defines the features.';
        comment on column features.snapshots.version is 'The version of that model.';
        comment on column features.snapshots.as_of is 'The moment: what became known or happened later does not count.';
        comment on column features.snapshots.until_seq is 'The newest publication that it includes.';
        comment on column features.snapshots.users is 'Number of users when it was stored.';
        comment on column features.snapshots.listens is 'Number of listens known at the moment, also of removed users.';
        comment on column features.snapshots.erased_users is 'Users whose rows `erase` has deleted since.';
        comment on column features.snapshots.definition is 'Hash of the SQL that computed it.';
        comment on column features.snapshots.fingerprint is
            'Hash of the listens, and of ids, counts and times of the users when it was stored.';

        create table features.user_snapshots (
            snapshot_id bigint not null references features.snapshots on delete cascade,
            user_id bigint not null,
            features jsonb not null,
            primary key (snapshot_id, user_id)
        );
        comment on table features.user_snapshots is 'One row per snapshot and user known then. Listens are not copied.';
        comment on column features.user_snapshots.features is
            'The columns of features.user_profile, and listens and affinity by genre.';

        do $$
        begin
            drop view if exists prep.int_track_genre_history, prep.int_favorite_genre_history;
        exception
            when dependent_objects_still_exist then null;  -- a view of somebody reads them
        end
        $$;
    """)
