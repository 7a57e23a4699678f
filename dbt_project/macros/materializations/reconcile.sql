{#
    Incremental strategy: afterwards the table holds exactly the rows of the model's query, as far as the build looks, and a
    row that was already right has not been touched. Rows are matched by `unique_key`. Running it twice changes nothing.

    A build that counts everything anew looks at the whole table. Any other looks at what it was given: the rows of the
    query, and, to find rows that are no longer right, the rows that match `scope`:
        scope={'model': <a model that this one refs>, 'match': {<column of this table>: <column of that model>}}
    Without `scope` only a build that counts everything anew deletes.
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
    {%- set build = this_build() -%}
    {%- set scope = config.get('scope') -%}

    {% if config.get('partition_by') -%}
        {%- do check_is_partitioned(target) -%}
        {{ add_missing_partitions(target, desired) }}
    {%- endif %}

    -- without figures the planner takes it for small
    analyze {{ desired }};

    delete from {{ target }} as present
    where
        (select after_seq = 0 from {{ build }})
        and not exists (
            select 1 from {{ desired }} as desired
            where {{ matches(key, 'desired', 'present') }}
        );

    {% if scope -%}
    delete from {{ target }} as present
    using (select distinct {{ scope.match.values() | join(', ') }} from {{ ref(scope.model) }}) as scope
    where
        (select after_seq > 0 from {{ build }})
        and {% for column, scope_column in scope.match.items() %}{{ "and " if not loop.first }}present.{{ column }} = scope.{{ scope_column }} {% endfor %}
        and not exists (
            select 1 from {{ desired }} as desired
            where {{ matches(key, 'desired', 'present') }}
        );
    {%- endif %}

    insert into {{ target }} ({{ quoted_columns }})
    select {{ quoted_columns }}
    from {{ desired }} as desired
    where not exists (
        select 1 from {{ target }} as present
        where
            {{ matches(key, 'present', 'desired') }}
            {% if other_columns -%}
            and ({% for column in other_columns %}present."{{ column }}"{{ ", " if not loop.last }}{% endfor %})
            is not distinct from ({% for column in other_columns %}desired."{{ column }}"{{ ", " if not loop.last }}{% endfor %})
            {%- endif %}
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

{% macro matches(key, one, other) -%}
    {% for column in key %}{{ "and " if not loop.first }}{{ one }}.{{ column }} = {{ other }}.{{ column }} {% endfor %}
{%- endmacro %}
