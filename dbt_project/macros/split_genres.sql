{#
    One row per id and genre of a comma-separated list. `prep.normalized_text` decides which spellings are the same genre; see
    the column `genre`. Names over 1,000 bytes are left out: an index entry holds 2,700 bytes, so one absurd name would make
    every build of the table fail.
#}
{% macro split_genres(rows, id, more_columns=[]) -%}
select distinct
    {{ rows }}.id as {{ id }},
    trim(names.genre) as genre
    {%- for column in more_columns %},
    {{ rows }}.{{ column }}
    {%- endfor %}
from {{ rows }}
cross join lateral string_to_table(prep.normalized_text({{ rows }}.genres), ',') as names (genre)
where
    trim(names.genre) <> ''
    and octet_length(trim(names.genre)) <= 1000
{%- endmacro %}
