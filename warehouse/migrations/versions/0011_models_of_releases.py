"""Keep with each release the models that only count, so that a service can score as the release did."""

from warehouse.migrations.sql import execute

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Create the table. Releases that are there already have no rows in it."""
    execute("""
        create table recommendations.release_models (
            release_id bigint not null references recommendations.releases,
            list text not null,
            place smallint not null,
            model text not null,
            artefact bytea not null,
            checksum text not null,
            format_version integer not null,
            primary key (release_id, list, place)
        );
        comment on table recommendations.release_models is
            'Models that were counted for a release: those that fill its lists. Kept as long as its lists.';
        comment on column recommendations.release_models.list is 'The list: discover or again.';
        comment on column recommendations.release_models.place is
            '0: the model of the list itself, if it only counts; 1 and 2: those that fill the list, in this order.';
        comment on column recommendations.release_models.model is 'Name of the model: genres or popularity.';
        comment on column recommendations.release_models.artefact is 'The counted model. It knows no person.';
        comment on column recommendations.release_models.checksum is 'SHA-256 of the artefact.';
        comment on column recommendations.release_models.format_version is 'Version of the format of the artefact.';
    """)
