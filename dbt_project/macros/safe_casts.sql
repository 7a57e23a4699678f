{#
    Casts of a jsonb expression that never fail: a value that does not fit becomes NULL, because one malformed row must not
    stop a run. `pg_input_is_valid` would be shorter, but needs Postgres 16.
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

{#
    The jsonb array if all its elements are whole numbers, else NULL. A regular expression accepts the common case, short runs
    of digits. Only other arrays are checked element by element, which takes four times as long. `strict`, because lax mode
    would unwrap nested arrays.
#}
{% macro safe_whole_numbers(field) -%}
    case
        when jsonb_typeof({{ field }}) = 'array'
            then
                case
                    when {{ field }}::text ~ '^\[[0-9, ]*\]$' and {{ field }}::text !~ '[0-9]{19}'
                        then {{ field }}
                    when
                        not jsonb_path_exists(
                            {{ field }},
                            'strict $[*] ? (@.type() != "number" || @ != @.floor() || @ < -9223372036854775808 || @ > 9223372036854775807)'
                        )
                        then {{ field }}
                end
    end
{%- endmacro %}

{#
    ISO 8601 date and time, with or without a zone; the var `api_timezone` is the default zone. The format and the day are
    checked first: Postgres would accept 'yesterday' and 'infinity', and would fail on 30 February and on very long fractions.
    [0-9] instead of \d, which in some collations matches every Unicode digit.
#}
{% macro safe_timestamptz(field) -%}
    {#- there is no year 0; the lookahead `(?!0000)` would be shorter, but takes 1.5 times as long -#}
    {%- set year = '([1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])' -%}
    {%- set date = year ~ '-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])' -%}
    {%- set time = '([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,9})?)?' -%}
    {%- set zone = '(Z|[+-](0[0-9]|1[0-4])(:?[0-5][0-9])?)' -%}
    case
        when {{ field }} #>> '{}' ~ '^{{ date }}[T ]{{ time }}$'
            then
                case
                    when {{ day_exists(field) }}
                        then ({{ field }} #>> '{}')::timestamp at time zone '{{ var("api_timezone") }}'
                end
        when {{ field }} #>> '{}' ~ '^{{ date }}[T ]{{ time }}{{ zone }}$'
            then
                case
                    when {{ day_exists(field) }}
                        then ({{ field }} #>> '{}')::timestamptz
                end
    end
{%- endmacro %}

{# Whether the day of an ISO date exists in its month. #}
{% macro day_exists(field) -%}
    case
        when substr({{ field }} #>> '{}', 9, 2)::int <= 28 then true
        else
            substr({{ field }} #>> '{}', 9, 2)::int
            <= extract(
                day from (substr({{ field }} #>> '{}', 1, 7) || '-01')::date + interval '1 month' - interval '1 day'
            )
    end
{%- endmacro %}

{# MM:SS #}
{% macro safe_duration(field) -%}
    case
        when {{ field }} #>> '{}' ~ '^[0-9]{2}:[0-5][0-9]$'
            then
                make_interval(
                    mins => split_part({{ field }} #>> '{}', ':', 1)::int,
                    secs => split_part({{ field }} #>> '{}', ':', 2)::int
                )
    end
{%- endmacro %}
