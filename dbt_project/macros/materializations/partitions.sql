{#
    dbt-postgres knows no partitions. A model with the config `partition_by` (a timestamptz column that never is NULL, part of
    the primary key) is a table that is partitioned by the months of that column, in UTC. A month is added when its first rows
    come. What is older than the year 2000 shares one partition: times come from the source, and each absurd one would else
    leave a table behind. The partitions are in `prep`, where analysts need not see them.

    The months that `rows` need and `relation` lacks. Each is made beside the table and then attached, because
    `partition of` would keep readers of the table waiting until the rows are in.
#}
{% macro add_missing_partitions(relation, rows) -%}
    {%- set partition_by = config.get('partition_by') -%}
    do $partitions$
    declare
        -- without a zone: midnights of UTC
        month_start timestamp;
        name text;
    begin
        for month_start in
            select distinct greatest(date_trunc('month', {{ partition_by }} at time zone 'UTC'), '1999-12-01')
            from {{ rows }}
            order by 1
        loop
            name := '{{ relation.identifier }}_'
                || case when month_start < '2000-01-01' then 'before_2000' else to_char(month_start, 'YYYY_MM') end;
            continue when to_regclass(format('%I.%I', '{{ target.schema }}', name)) is not null;
            execute format(
                'create table %I.%I (like {{ relation }} including defaults)', '{{ target.schema }}', name
            );
            execute format(
                'alter table {{ relation }} attach partition %I.%I for values from (%s) to (%L)',
                '{{ target.schema }}',
                name,
                case
                    when month_start < '2000-01-01' then 'minvalue'
                    else quote_literal(month_start at time zone 'UTC')
                end,
                (month_start + interval '1 month') at time zone 'UTC'
            );
        end loop;
    end
    $partitions$;
{%- endmacro %}

{# A table of the time before it was partitioned cannot become it in place. #}
{% macro check_is_partitioned(relation) %}
    {%- set kind = run_query("select relkind from pg_class where oid = '" ~ relation ~ "'::regclass").columns[0].values()[0] -%}
    {% if kind != 'p' %}
        {{ exceptions.raise_compiler_error(
            relation.include(database=false) ~ " is not partitioned, and cannot be changed in place. Drop it, the build makes it"
            ~ " anew (views that others have on it go along, so note them first): make psql ARGS=\"-c 'drop table "
            ~ relation.schema ~ "." ~ relation.identifier ~ " cascade'\", then: make build"
        ) }}
    {% endif %}
{% endmacro %}
