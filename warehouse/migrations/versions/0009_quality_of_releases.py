"""Compare releases with what their users heard afterwards, beside popularity as it was then."""

from warehouse.migrations.sql import execute

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Create the rankings that releases are compared with, and the table of their quality."""
    execute("""
        create table recommendations.popular_tracks (
            release_id bigint not null references recommendations.releases,
            list text not null,
            track_ids bigint[] not null,
            primary key (release_id, list)
        );
        comment on table recommendations.popular_tracks is
            'One row per kept release and list: all tracks by popularity, as known when the release was made.';
        comment on column recommendations.popular_tracks.list is
            'The list: discover or again. Each has popularity with a half-life of its own.';
        comment on column recommendations.popular_tracks.track_ids is
            'The most popular one first. Only tracks that could be recommended, and that somebody had heard.';

        create table recommendations.quality (
            release_id bigint not null references recommendations.releases,
            list text not null,
            segment text not null,
            day date not null,
            model_version bigint not null references recommendations.model_versions,
            users bigint not null,
            plays bigint not null,
            recommended_plays bigint not null,
            hit_rate double precision not null,
            ndcg double precision not null,
            popularity_hit_rate double precision not null,
            popularity_ndcg double precision not null,
            ndcg_difference double precision not null,
            ndcg_difference_low double precision not null,
            ndcg_difference_high double precision not null,
            computed_at timestamptz not null default now(),
            primary key (release_id, list, segment, day),
            check (users >= 3)
        );
        create index quality_day on recommendations.quality (day);
        comment on table recommendations.quality is
            'One row per release, list, segment and UTC day: how well the list met what its users heard on that day.'
            ' A listen counts for the release that readers saw when it happened, or, if the lists of that one are gone,'
            ' when it became known. All days of releases whose lists are kept are computed again with each release;'
            ' rows of releases whose lists were dropped stay as they were last computed.'
            ' Rows of fewer than 3 users are left out.';
        comment on column recommendations.quality.list is
            'The list: discover counts plays of tracks that were new to the user, again of those the user knew.';
        comment on column recommendations.quality.segment is
            'all, or users with so many listens when the release was made: cold 0, light 1 to 9, regular 10 or more.';
        comment on column recommendations.quality.day is 'The day of the listens in UTC: listened_at.';
        comment on column recommendations.quality.users is 'Number of users who had this list, and a play that counts.';
        comment on column recommendations.quality.plays is 'Number of their plays that count, repeats included.';
        comment on column recommendations.quality.recommended_plays is 'Those of tracks that were in the whole list.';
        comment on column recommendations.quality.hit_rate is 'Share of users who played one of the first 10.';
        comment on column recommendations.quality.ndcg is 'NDCG@10, the mean of the users.';
        comment on column recommendations.quality.popularity_hit_rate is
            'The same of the most popular tracks of then, for the same users.';
        comment on column recommendations.quality.popularity_ndcg is
            'The same of the most popular tracks of then, for the same users.';
        comment on column recommendations.quality.ndcg_difference is 'ndcg minus popularity_ndcg.';
        comment on column recommendations.quality.ndcg_difference_low is
            'Lower bound of its 95 % interval: paired bootstrap over the users, with a fixed seed.';
        comment on column recommendations.quality.ndcg_difference_high is 'Upper bound of the same interval.';
    """)
