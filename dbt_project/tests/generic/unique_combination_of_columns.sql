{# Returns each combination of the columns that occurs more than once, with its number of rows. #}
{% test unique_combination_of_columns(model, column_names) %}
select
    {{ column_names | join(', ') }},
    count(*) as occurrences
from {{ model }}
group by {{ column_names | join(', ') }}
having count(*) > 1
{% endtest %}
