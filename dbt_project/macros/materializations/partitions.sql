{#
    dbt-postgres has no partitions. The config `partition_by` names a timestamptz column that is never NULL and is part of the
    primary key: the table is then partitioned by UTC month of that column. A build adds a month with its first rows. Times
    before 2000 share one partition: they come from the source, and each absurd one would otherwise create a table. The
    partitions are in the schema `prep`, out of the analysts' way.

    This macro creates the partitions that `rows` need and `relation` lacks. It creates each as a separate table and attaches
    it, because `create table ... partition of` would block readers until the transaction ends.
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
            -- Citus: the new month brings along the foreign keys to reference tables
            perform set_config('citus.multi_shard_modify_mode', 'sequential', true);
            execute format(
                'create table %I.%I (like {{ relation.include(database=false) }} including defaults)', '{{ target.schema }}', name
            );
            execute format(
                'alter table {{ relation.include(database=false) }} attach partition %I.%I for values from (%s) to (%L)',
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

{# Postgres cannot partition an existing table in place. #}
{% macro check_is_partitioned(relation) %}
    {%- set kind = run_query("select relkind from pg_class where oid = '" ~ relation ~ "'::regclass").columns[0].values()[0] -%}
    {% if kind != 'p' %}
        {{ exceptions.raise_compiler_error(
            relation.include(database=false) ~ " is not partitioned, and Postgres cannot change that in place. Drop it; the next build"
            ~ " creates it again. This also drops views on it, so save their definitions first: make psql ARGS=\"-c 'drop table "
            ~ relation.schema ~ "." ~ relation.identifier ~ " cascade'\", then: make build"
        ) }}
    {% endif %}
{% endmacro %}
