"""Record a training stage by stage, what it compared in the final window, and models outside the warehouse."""

from warehouse.migrations.sql import execute

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Extend the trainings, and create the table of evaluations."""
    execute("""
        alter table recommendations.trainings
            alter column outcome drop not null,
            alter column reason drop not null,
            alter column finished_at drop not null,
            add column stage text not null default 'promote'
                check (stage in ('prepare', 'tune', 'evaluate', 'promote')),
            add column trigger_detail text,
            add column updated_at timestamptz not null default clock_timestamp(),
            add column budget real,
            add column seed bigint,
            add column known_at timestamptz,
            add column users bigint,
            add column tracks bigint,
            add column listens bigint,
            add column tuning_from date,
            add column final_from date,
            add column final_until date,
            add column is_overlapping boolean not null default false,
            add column champion_version bigint references recommendations.model_versions,
            add column recipe jsonb,
            add column code_version text;
        create unique index trainings_unfinished on recommendations.trainings (list) where finished_at is null;
        comment on table recommendations.trainings is
            'One row per training and list. A training that was interrupted continues with its next stage.';
        comment on column recommendations.trainings.trigger is
            'Why it was trained: no_champion, asked, schedule, volume, degradation, unknown_tracks.';
        comment on column recommendations.trainings.trigger_detail is 'The trigger in one sentence, with figures.';
        comment on column recommendations.trainings.outcome is
            'promoted: a better recipe; refreshed: the same recipe, fitted to newer data; popularity: no model beat it;'
            ' refused: the champion stays; too_little_data: nothing to compare on; data_refused: the data failed a'
            ' check; abandoned: a later training replaced it. NULL: not decided yet.';
        comment on column recommendations.trainings.stage is
            'The last stage that it completed: prepare, tune, evaluate or promote.';
        comment on column recommendations.trainings.updated_at is 'When that stage ended.';
        comment on column recommendations.trainings.budget is 'Seconds for tuning.';
        comment on column recommendations.trainings.seed is 'Seed of all random draws.';
        comment on column recommendations.trainings.known_at is 'It used what was known at this moment.';
        comment on column recommendations.trainings.users is 'Number of users then.';
        comment on column recommendations.trainings.tracks is 'Number of tracks then.';
        comment on column recommendations.trainings.listens is 'Number of listens then.';
        comment on column recommendations.trainings.tuning_from is 'First day of the tuning window.';
        comment on column recommendations.trainings.final_from is 'First day of the final window.';
        comment on column recommendations.trainings.final_until is 'Last day of the final window.';
        comment on column recommendations.trainings.is_overlapping is
            'The final window includes days that were already used for a promotion.';
        comment on column recommendations.trainings.champion_version is
            'The champion that the challenger was compared with. NULL: there was none.';
        comment on column recommendations.trainings.recipe is
            'The challenger that tuning chose: model, parameters, and parameters of what fills its lists.';
        comment on column recommendations.trainings.code_version is 'Hash of the source of the recommender.';

        create table recommendations.evaluations (
            training_id bigint not null references recommendations.trainings,
            contender text not null,
            segment text not null,
            model text not null,
            users bigint not null,
            ndcg real not null,
            recall real not null,
            map real not null,
            coverage real not null,
            novelty real not null,
            ndcg_low real not null,
            ndcg_high real not null,
            popularity_difference real not null,
            popularity_difference_low real not null,
            popularity_difference_high real not null,
            champion_difference real,
            champion_difference_low real,
            champion_difference_high real,
            primary key (training_id, contender, segment)
        );
        comment on table recommendations.evaluations is
            'One row per training, contender and segment of users: how it did in the final window.';
        comment on column recommendations.evaluations.contender is
            'challenger: the best recipe of the tuning window; champion: the recipe of the champion, fitted to the same'
            ' data; served: the champion itself, fitted to older data; anchor: the last recipe promoted for being'
            ' better; popularity.';
        comment on column recommendations.evaluations.segment is
            'all; cold, light and regular: users with 0, 1 to 9, and 10 or more listens in training.';
        comment on column recommendations.evaluations.users is 'Number of users with targets.';
        comment on column recommendations.evaluations.ndcg is 'NDCG@10. Also recall@20 and MAP@10.';
        comment on column recommendations.evaluations.coverage is 'Share of the candidates in somebody''s first 10.';
        comment on column recommendations.evaluations.novelty is 'Mean of -log2(share of users who heard the track).';
        comment on column recommendations.evaluations.ndcg_low is 'Lower bound of the 95 % interval.';
        comment on column recommendations.evaluations.ndcg_high is 'Upper bound of the 95 % interval.';
        comment on column recommendations.evaluations.popularity_difference is
            'Difference of NDCG@10 to popularity, on the same users.';
        comment on column recommendations.evaluations.champion_difference is
            'Difference of NDCG@10 to the recipe of the champion, on the same users. NULL: there was no champion.';

        alter table recommendations.model_versions
            add column artefact_file text;
        comment on column recommendations.model_versions.artefact_file is
            'The name of the artefact in ARTIFACT_FOLDER, if it is too large for the warehouse.';
        comment on column recommendations.aliases.alias is
            'champion: the model that makes the lists; anchor: the last one that was promoted for being better.';
    """)
