"""Rewrite keys as extract/keys.py makes them now, and rename models.

A key had the API's spelling of a number or a time. Two spellings of a document were two records, of which one was
removed: their versions become versions of one record, in the order in which they landed.
"""

from warehouse.migrations.sql import execute

revision = "0003"
down_revision = "0002"

KEYS = r"""
do $migration$
declare
    usual constant text := '^\[-?[0-9]+(,"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{6})?")?\]$';
    time_pattern constant text :=
        '^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?'
        || '(Z|[+-](0[0-9]|1[0-4])(:?[0-5][0-9])?)?$';
    tables constant text[] := array['users', 'tracks', 'listen_history'];
    landing_table text;
    old_key text;
    new_key text;
    part jsonb;
    spelled text;
    moment timestamp;
begin
    foreach landing_table in array tables loop
        for old_key in
            execute format('select distinct key from staging.%I where key !~ $1 or key like $2', landing_table)
            using usual, '%.000000"]'
        loop
            new_key := '';
            for part in select value from jsonb_array_elements(old_key::jsonb) loop
                spelled := part::text;
                if jsonb_typeof(part) = 'number' and part::numeric = trunc(part::numeric)
                    and part::numeric between -9223372036854775808 and 9223372036854775807
                then
                    spelled := trunc(part::numeric)::text;
                elsif jsonb_typeof(part) = 'string' and part #>> '{}' ~ time_pattern then
                    begin
                        -- after the date, a sign belongs to a zone
                        if substr(part #>> '{}', 12) ~ '[Z+-]' then
                            moment := (part #>> '{}')::timestamptz at time zone 'UTC';
                        else
                            moment := (part #>> '{}')::timestamp;
                        end if;
                        spelled := '"' || to_char(moment, 'YYYY-MM-DD"T"HH24:MI:SS')
                            || coalesce('.' || nullif(to_char(moment, 'US'), '000000'), '')
                            || case when substr(part #>> '{}', 12) ~ '[Z+-]' then 'Z' else '' end || '"';
                    exception
                        when datetime_field_overflow or invalid_datetime_format then null;  -- no such day
                    end;
                end if;
                new_key := new_key || ',' || spelled;
            end loop;
            new_key := '[' || substr(new_key, 2) || ']';
            if new_key <> old_key then
                execute format('update staging.%I set key = $1 where key = $2', landing_table) using new_key, old_key;
                update gate.quarantined_rows set key = new_key where table_name = landing_table and key = old_key;
                update staging.unreadable_rows set key = new_key where table_name = landing_table and key = old_key;
            end if;
        end loop;
    end loop;
end
$migration$;
drop table if exists prep.respelled_documents;
delete from prep.builds where model = 'prep.respelled_documents';
"""

NAMES = """
alter view if exists prep.int_favorite_genres_told rename to int_favorite_genre_history;
alter view if exists prep.int_favorite_genre_history rename column told_from to valid_from;
alter view if exists prep.int_favorite_genre_history rename column told_until to valid_to;
alter view if exists prep.int_track_genres_told rename to int_track_genre_history;
alter view if exists prep.int_track_genre_history rename column told_from to valid_from;
alter view if exists prep.int_track_genre_history rename column told_until to valid_to;
alter table if exists prep.int_build rename to int_build_window;
alter table if exists prep.int_touched_users rename to int_changed_users;
alter table if exists prep.int_touched_tracks rename to int_changed_tracks;
"""


def upgrade() -> None:
    """Change rows and names in place."""
    execute(KEYS)
    execute(NAMES)
