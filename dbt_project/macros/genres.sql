{#
    The genres in a comma-separated list, as an array in alphabetical order; empty for NULL. `prep.normalized_text` decides which
    spellings are the same genre; see the column `genre`. Names over 1,000 bytes are left out: an index entry holds 2,700 bytes, so
    one absurd name would make every build of the table fail.
#}
{% macro genre_list(genres) -%}
array(
    select distinct trim(names.genre) collate "C" as genre
    from string_to_table(prep.normalized_text({{ genres }}), ',') as names (genre)
    where
        trim(names.genre) <> ''
        and octet_length(trim(names.genre)) <= 1000
    order by 1
)
{%- endmacro %}

{# One row per id and genre of the rows, which have `id` and `genres`, a comma-separated list. #}
{% macro split_genres(rows, id) -%}
select
    {{ rows }}.id as {{ id }},
    names.genre
from {{ rows }}
cross join lateral unnest({{ genre_list(rows ~ '.genres') }}) as names (genre)
{%- endmacro %}
