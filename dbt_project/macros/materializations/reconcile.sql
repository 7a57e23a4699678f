{#
    Incremental strategy: afterwards the table holds exactly the rows of the model's query, and a row that was already
    right has not been touched. Rows are matched by `unique_key`. Running it twice changes nothing.
#}
{% macro get_incremental_reconcile_sql(arg_dict) %}
    {%- set target = arg_dict["target_relation"] -%}
    {%- set desired = arg_dict["temp_relation"] -%}
    {%- set key = arg_dict["unique_key"] -%}
    {%- if not key -%}
        {{ exceptions.raise_compiler_error("The strategy 'reconcile' needs a unique_key (model " ~ model.name ~ ")") }}
    {%- endif -%}
    {%- set key = [key] if key is string else key -%}
    {%- set columns = arg_dict["dest_columns"] | map(attribute="name") | list -%}
    {%- set quoted_columns = get_quoted_csv(columns) -%}
    {%- set other_columns = columns | reject("in", key) | list -%}

    {% if config.get('partition_by') -%}
        {%- do check_is_partitioned(target) -%}
        {{ add_missing_partitions(target, desired) }}
    {%- endif %}

    delete from {{ target }} as present
    where not exists (
        select 1 from {{ desired }} as desired
        where {% for column in key %}{{ "and " if not loop.first }}desired.{{ column }} = present.{{ column }} {% endfor %}
    );

    insert into {{ target }} ({{ quoted_columns }})
    (
        select {{ quoted_columns }} from {{ desired }}
        except
        select {{ quoted_columns }} from {{ target }}
    )
    on conflict ({{ key | join(", ") }})
    {% if other_columns -%}
    do update set
        {% for column in other_columns -%}
        "{{ column }}" = excluded."{{ column }}"{{ "," if not loop.last }}
        {% endfor %}
    {%- else -%}
    do nothing
    {%- endif %}
{% endmacro %}
