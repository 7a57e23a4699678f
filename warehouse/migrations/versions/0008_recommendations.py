"""Store models, and the lists of recommendations that they make, release by release."""

from warehouse.migrations.sql import execute

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Create the tables of schema `recommendations`. dbt creates the view for readers, because it reads the marts."""
    execute("""
        create table recommendations.trainings (
            training_id bigint generated always as identity primary key,
            list text not null,
            trigger text not null,
            outcome text not null,
            reason text not null,
            trials jsonb not null default '{}',
            started_at timestamptz not null,
            finished_at timestamptz not null
        );
        comment on table recommendations.trainings is 'One row per list that a training chose a model for.';
        comment on column recommendations.trainings.list is 'The list: discover or again.';
        comment on column recommendations.trainings.trigger is 'Why it was trained.';
        comment on column recommendations.trainings.outcome is
            'promoted: the model beat popularity; popularity: none did; too_little_data: nothing to compare on.';
        comment on column recommendations.trainings.reason is 'The outcome in one sentence, with the figures.';
        comment on column recommendations.trainings.trials is 'Number of trials by model.';

        create table recommendations.model_versions (
            model_version bigint generated always as identity primary key,
            training_id bigint references recommendations.trainings,
            list text not null,
            model text not null,
            params jsonb not null,
            fallback_params jsonb not null,
            artefact bytea,
            checksum text,
            format_version integer,
            track_count bigint not null,
            until_seq bigint not null,
            known_at timestamptz not null,
            code_version text not null,
            metrics jsonb not null default '{}',
            trained_at timestamptz not null default now()
        );
        comment on table recommendations.model_versions is 'One row per fitted model. It knows tracks, and no person.';
        comment on column recommendations.model_versions.list is 'The list that it makes: discover or again.';
        comment on column recommendations.model_versions.params is 'Its parameters; of `again`, with the base model.';
        comment on column recommendations.model_versions.fallback_params is
            'By model, the parameters of those that fill its lists.';
        comment on column recommendations.model_versions.artefact is
            'The fitted model. NULL: it only counts, so it is counted again for each release.';
        comment on column recommendations.model_versions.checksum is 'SHA-256 of the artefact.';
        comment on column recommendations.model_versions.format_version is 'The version of the format of the artefact.';
        comment on column recommendations.model_versions.track_count is 'Number of tracks that were known.';
        comment on column recommendations.model_versions.until_seq is
            'The newest publication that its data includes: gate.publications.seq.';
        comment on column recommendations.model_versions.known_at is 'It was fitted to what was known at this moment.';
        comment on column recommendations.model_versions.code_version is 'Hash of the source of the recommender.';
        comment on column recommendations.model_versions.metrics is
            'How it did beside popularity, in the final window.';

        create table recommendations.aliases (
            alias_seq bigint generated always as identity primary key,
            list text not null,
            alias text not null default 'champion',
            model_version bigint not null references recommendations.model_versions,
            decided_at timestamptz not null default clock_timestamp(),
            decided_by text not null default session_user,
            reason text not null
        );
        comment on table recommendations.aliases is
            'History of decisions, append-only: the newest row of a list and alias says which model version it names.';
        comment on column recommendations.aliases.alias is 'champion: the model that makes the lists.';

        create table recommendations.releases (
            release_id bigint generated always as identity primary key,
            released_at timestamptz not null default clock_timestamp(),
            as_of timestamptz not null,
            until_seq bigint not null,
            model_versions jsonb not null,
            artist_cap integer not null,
            users bigint not null,
            lists bigint not null,
            seconds real not null,
            figures jsonb not null
        );
        comment on table recommendations.releases is
            'One row per release: lists of all users, published whole. Only the lists of the newest ones are kept.';
        comment on column recommendations.releases.as_of is 'The lists follow from what was known at this moment.';
        comment on column recommendations.releases.until_seq is
            'The newest publication that they include: gate.publications.seq.';
        comment on column recommendations.releases.model_versions is 'By list, the version of the model that made it.';
        comment on column recommendations.releases.artist_cap is 'The most tracks of one artist in a list.';
        comment on column recommendations.releases.users is 'Number of users with a list when it was published.';
        comment on column recommendations.releases.lists is 'Number of lists when it was published.';
        comment on column recommendations.releases.seconds is 'How long it took to make them, training included.';
        comment on column recommendations.releases.figures is
            'Cold users, candidates, coverage (share of the candidates among the first 10 of a list), items by source.';

        create table recommendations.release_history (
            history_seq bigint generated always as identity primary key,
            release_id bigint not null references recommendations.releases,
            published_at timestamptz not null default clock_timestamp(),
            decided_by text not null default session_user,
            reason text not null
        );
        comment on table recommendations.release_history is
            'History of publications, append-only: readers see the release of the newest row.';
        comment on column recommendations.release_history.reason is 'Why this release: made by a run, or taken back.';

        create function recommendations.refuse_to_change_history() returns trigger language plpgsql as $$
        begin
            raise exception 'history is never changed: record a new row';
        end
        $$;
        create trigger aliases_are_final before update or delete or truncate on recommendations.aliases
            for each statement execute function recommendations.refuse_to_change_history();
        create trigger release_history_is_final before update or delete or truncate on recommendations.release_history
            for each statement execute function recommendations.refuse_to_change_history();

        create table recommendations.lists (
            release_id bigint not null,
            user_id bigint not null,
            list text not null,
            model_version bigint not null,
            model_items smallint not null,
            genre_items smallint not null,
            track_ids bigint[] not null,
            scores real[] not null,
            reasons text[] not null,
            primary key (user_id, list, release_id)
        ) partition by list (release_id);
        comment on table recommendations.lists is
            'One row per release, user and list, with all its items, best first. Read current_recommendations instead.';
        comment on column recommendations.lists.list is 'discover: tracks the user has not heard; again: tracks known.';
        comment on column recommendations.lists.model_items is 'The first so many items are from the model itself.';
        comment on column recommendations.lists.genre_items is
            'The next so many are popular in genres of the user, and the rest are popular.';
        comment on column recommendations.lists.scores is 'Scores of different sources do not compare.';
        comment on column recommendations.lists.reasons is 'track and an id, genre and its name, or popular.';
    """)
