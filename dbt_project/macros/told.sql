{#
    What the published versions said of something, from when until when: the time at which a scan that told it ended. What was
    said first is taken for said ever before (`told_from` NULL), and what nothing followed for said until now (`told_until` NULL).
#}
{% macro told(published_model, table_name, column) -%}
select
    versions.id,
    versions.{{ column }},
    case when row_number() over in_order > 1 then scans.finished_at end as told_from,
    lead(scans.finished_at) over in_order as told_until
from {{ ref(published_model) }} as versions
inner join {{ source('staging', 'scans') }} as scans
    on
        versions._load_id = scans._dlt_load_id
        and scans.table_name = '{{ table_name }}'
where not versions.is_removal and versions.id is not null
window in_order as (partition by versions.id order by versions.version_seq)
{%- endmacro %}

{% macro was_told_then() -%}
    (told_from is null or told_from <= {{ as_of() }})
    and (told_until is null or told_until > {{ as_of() }})
{%- endmacro %}

{#
    One row per id and genre of a comma-separated list. What is the same genre, `normalized_text` says: see the column `genre`.
    An index entry holds 2,700 bytes: one absurd name would fail a whole table, night after night, and is no genre.
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
