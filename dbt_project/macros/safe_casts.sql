{#
    Casts of a jsonb expression that answer NULL where the value does not fit, and never fail: one odd row must not
    stop a night. `pg_input_is_valid` would say it shorter, but exists from Postgres 16 on only.
#}

{% macro safe_text(field) -%}
    case when jsonb_typeof({{ field }}) = 'string' then {{ field }} #>> '{}' end
{%- endmacro %}

{% macro safe_bigint(field) -%}
    case
        when jsonb_typeof({{ field }}) = 'number'
            then
                case
                    when
                        ({{ field }})::numeric = trunc(({{ field }})::numeric)
                        and ({{ field }})::numeric between -9223372036854775808 and 9223372036854775807
                        then ({{ field }})::bigint
                end
    end
{%- endmacro %}

{# The jsonb array itself if all its elements are whole numbers, else NULL. `strict`: lax mode would look into nested arrays. #}
{% macro safe_whole_numbers(field) -%}
    case
        when
            jsonb_typeof({{ field }}) = 'array'
            and not jsonb_path_exists(
                {{ field }},
                'strict $[*] ? (@.type() != "number" || @ != @.floor() || @ < -9223372036854775808 || @ > 9223372036854775807)'
            )
            then {{ field }}
    end
{%- endmacro %}

{#
    ISO 8601 date and time, with or without a zone; without one it is read in the var `api_timezone`. Postgres itself would
    also accept 'yesterday' and 'infinity', and would fail on 30 February: the form and the day are checked first.
#}
{% macro safe_timestamptz(field) -%}
    case
        when
            {{ field }} #>> '{}'
            ~ '^(?!0000)\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])[T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?(Z|[+-](0\d|1[0-4])(:?[0-5]\d)?)?$'
            then
                case
                    when
                        substr({{ field }} #>> '{}', 9, 2)::int
                        > extract(
                            day from
                            (substr({{ field }} #>> '{}', 1, 7) || '-01')::date + interval '1 month' - interval '1 day'
                        )
                        then null
                    when {{ field }} #>> '{}' ~ '(Z|[+-]\d{2}(:?\d{2})?)$' and length({{ field }} #>> '{}') > 16
                        then ({{ field }} #>> '{}')::timestamptz
                    else ({{ field }} #>> '{}')::timestamp at time zone '{{ var("api_timezone") }}'
                end
    end
{%- endmacro %}

{# MM:SS #}
{% macro safe_duration(field) -%}
    case
        when {{ field }} #>> '{}' ~ '^\d{2}:[0-5]\d$'
            then
                make_interval(
                    mins => split_part({{ field }} #>> '{}', ':', 1)::int,
                    secs => split_part({{ field }} #>> '{}', ':', 2)::int
                )
    end
{%- endmacro %}
