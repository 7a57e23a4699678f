"""Keep the lists that shards of users made, until one release publishes them."""

from warehouse.migrations.sql import execute

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Create the tables. They are not logged: a crash of the server empties all of them, and the work is repeated."""
    execute("""
        create unlogged table recommendations.drafts (
            draft_id bigint generated always as identity primary key,
            as_of timestamptz not null,
            until_seq bigint not null,
            model_versions jsonb not null,
            artist_cap integer not null,
            seed bigint not null,
            code_version text not null,
            shards integer not null
        );
        comment on table recommendations.drafts is
            'The release that shards of users prepare: at most one row. All its lists follow from these columns.';
        comment on column recommendations.drafts.as_of is 'The lists follow from what was known at this moment.';
        comment on column recommendations.drafts.until_seq is
            'The newest publication that they include: gate.publications.seq.';
        comment on column recommendations.drafts.model_versions is 'By list, the version of the model that makes it.';
        comment on column recommendations.drafts.artist_cap is 'The most tracks of one artist in a list.';
        comment on column recommendations.drafts.seed is 'Seed of all random draws.';
        comment on column recommendations.drafts.code_version is 'Hash of the source of the recommender.';
        comment on column recommendations.drafts.shards is
            'Number of shards. A user belongs to shard user_id modulo this number, plus 1.';

        create unlogged table recommendations.draft_shards (
            draft_id bigint not null references recommendations.drafts on delete cascade,
            shard integer not null,
            seconds real not null,
            made_at timestamptz not null default clock_timestamp(),
            primary key (draft_id, shard)
        );
        comment on table recommendations.draft_shards is 'One row per shard whose lists are complete.';
        comment on column recommendations.draft_shards.shard is 'The number of the shard, from 1.';
        comment on column recommendations.draft_shards.seconds is 'How long it took to make its lists.';

        create unlogged table recommendations.draft_lists (
            draft_id bigint not null,
            user_id bigint not null,
            list text not null,
            model_version bigint not null,
            model_items smallint not null,
            genre_items smallint not null,
            track_ids bigint[] not null,
            scores real[] not null,
            reasons text[] not null,
            primary key (user_id, list, draft_id)
        );
        comment on table recommendations.draft_lists is
            'One row per user and list of the shards in draft_shards. The columns are those of lists. Publication moves'
            ' them there.';
    """)
