{# Writes only comments that differ from those of the relation: dbt's own macro writes all of them in every build. #}
{% macro postgres__persist_docs(relation, model, for_relation, for_columns) -%}
    {%- set query %}
        select
            coalesce(attname, ''),
            description
        from pg_description
        left join pg_attribute on objoid = attrelid and objsubid = attnum
        where objoid = '{{ relation }}'::regclass and classoid = 'pg_class'::regclass
    {%- endset -%}
    {%- set present = {} -%}
    {%- for row in run_query(query).rows -%}
        {%- do present.update({row[0]: row[1]}) -%}
    {%- endfor -%}

    {% if for_relation and config.persist_relation_docs() and model.description and model.description != present.get('') %}
        {% do run_query(alter_relation_comment(relation, model.description)) %}
    {% endif %}

    {% if for_columns and config.persist_column_docs() %}
        {%- set changed = {} -%}
        {%- for name, column in model.columns.items() if column.description != present.get(name, '') -%}
            {%- do changed.update({name: column}) -%}
        {%- endfor -%}
        {% if changed %}{% do run_query(alter_column_comment(relation, changed)) %}{% endif %}
    {% endif %}
{%- endmacro %}
