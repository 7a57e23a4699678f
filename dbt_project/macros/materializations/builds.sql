{#
    How far each model that is kept from night to night has come: one row per model in `prep.builds`, written in the
    transaction that changed the model. What is published after it is news to that model, after a crash too.
#}
{% macro create_builds() %}
    {%- if execute and not load_relation(source('prep', 'builds')) and adapter.check_schema_exists(target.database, target.schema) -%}
        create table if not exists {{ source('prep', 'builds') }} (
            model text primary key,
            seq bigint not null,
            fingerprint text not null,
            totals_until timestamptz not null
        )
    {%- endif -%}
{% endmacro %}

{% macro record_build() %}
    insert into {{ kept_by_builds('builds') }} as builds (model, seq, fingerprint, totals_until)
    select
        '{{ this.schema }}.{{ this.identifier }}',
        until_seq,
        fingerprint,
        totals_until
    from {{ kept_by_builds('int_build') }}
    on conflict (model) do update
    set
        seq = excluded.seq,
        fingerprint = excluded.fingerprint,
        totals_until = excluded.totals_until
    where
        (builds.seq, builds.fingerprint, builds.totals_until)
        is distinct from (excluded.seq, excluded.fingerprint, excluded.totals_until)
{% endmacro %}

{#
    A model as the build before left it, for the models that find out what has to change in it: these it is built from, so
    that they cannot `ref` it. Without rows as long as it is not there.
#}
{% macro as_built_before(model_name) -%}
    {%- if execute -%}
        {%- set node = graph.nodes['model.' ~ project_name ~ '.' ~ model_name] -%}
        {%- set relation = adapter.get_relation(node.database, node.schema, node.alias) -%}
        {%- if relation -%}
            {{ relation }}
        {%- else -%}
            (
                select
                    {%- for column in node.columns.values() %}
                    null::{{ column.data_type }} as {{ column.name }}{{ "," if not loop.last }}
                    {%- endfor %}
                where false
            )
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{#
    What the rows of the kept models depend on beside the data: the SQL of models and macros, the vars that end in stored
    rows, and the function that says which genres are the same. When it changes, the next build counts everything again.
#}
{% macro fingerprint() -%}
    {%- set parts = [var('api_timezone'), var('affinity_half_life_days') | string] -%}
    {%- if execute -%}
        {%- for node in graph.nodes.values() | selectattr('resource_type', 'equalto', 'model') | sort(attribute='unique_id') -%}
            {%- do parts.append(node.checksum.checksum) -%}
        {%- endfor -%}
        {%- for name, macro in context[project_name].items() | sort -%}
            {%- do parts.append(macro.macro.macro_sql) -%}
        {%- endfor -%}
    {%- endif -%}
    md5(
        concat(
            '{{ local_md5(parts | join(' ')) }}',
            (select prosrc from pg_proc where oid = to_regprocedure('prep.normalized_text(text)'))
        )
    )
{%- endmacro %}

{#
    The models that are kept from night to night: those that `record_build`.
#}
{% macro kept_models() %}
    {%- set kept = [] -%}
    {%- if execute -%}
        {%- for node in graph.nodes.values() | selectattr('config.incremental_strategy', 'equalto', 'reconcile') -%}
            {%- do kept.append(node.schema ~ '.' ~ node.alias) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(kept | sort) }}
{% endmacro %}

{% macro is_full_refresh() -%}
    {{ 'true' if flags.FULL_REFRESH else 'false' }}
{%- endmacro %}

{# A table of `prep` for a hook: the models it is for do not depend on it. #}
{% macro kept_by_builds(identifier) -%}
    {{ return(api.Relation.create(database=target.database, schema=target.schema, identifier=identifier)) }}
{%- endmacro %}
