{#
    `prep.builds` records the progress of each stateful model: one row per model, written in the transaction that changed the
    model. Publications after that point are new to the model, even if a crash ended the build.
#}
{% macro record_build() %}
    insert into {{ prep_table('builds') }} as builds (model, seq, fingerprint, totals_until)
    select
        '{{ this.schema }}.{{ this.identifier }}',
        until_seq,
        fingerprint,
        totals_until
    from {{ prep_table('int_build_window') }}
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
    A stateful model as the previous build left it. The models that compute its changes read it through this macro: it depends
    on them, so `ref` would be a cycle. Empty while the table does not exist. A migration
    adds a new column that such a model reads: dbt would add it only when it updates the table.
#}
{% macro previous_state(model_name) -%}
    {%- if execute -%}
        {%- set node = graph.nodes['model.' ~ project_name ~ '.' ~ model_name] -%}
        {%- set relation = adapter.get_relation(node.database, node.schema, node.alias) -%}
        {{ relation or '(' ~ no_rows(model_name) ~ ')' }}
    {%- endif -%}
{%- endmacro %}

{# No rows, with the columns of a model that has a contract. #}
{% macro no_rows(model_name) -%}
    select
        {%- for column in graph.nodes['model.' ~ project_name ~ '.' ~ model_name].columns.values() if execute %}
        null::{{ column.data_type }} as {{ column.name }}{{ "," if not loop.last }}
        {%- endfor %}
    where false
{%- endmacro %}

{#
    A hash of everything except data that determines the rows of stateful models: the SQL of models and macros, the vars that
    affect stored rows, and the function that normalizes genres. When it changes, the next build recounts everything.
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
    The stateful models: the tables that builds update in place and whose progress `record_build` records.
#}
{% macro stateful_models() %}
    {%- set models = [] -%}
    {%- if execute -%}
        {%- for node in graph.nodes.values() | selectattr('config.incremental_strategy', 'equalto', 'reconcile') -%}
            {%- do models.append(node.schema ~ '.' ~ node.alias) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(models | sort) }}
{% endmacro %}

{% macro is_full_refresh() -%}
    {{ 'true' if flags.FULL_REFRESH else 'false' }}
{%- endmacro %}

{# A table in `prep` for use in a hook, without making the model depend on it. #}
{% macro prep_table(identifier) -%}
    {{ return(api.Relation.create(database=target.database, schema=target.schema, identifier=identifier)) }}
{%- endmacro %}
