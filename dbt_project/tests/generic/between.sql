{# Returns the rows whose value is outside [at_least, at_most]. The tolerance of 1e-9 is for sums of floats. #}
{% test between(model, column_name, at_least, at_most) %}
select *
from {{ model }}
where {{ column_name }} not between {{ at_least }} - 1e-9 and {{ at_most }} + 1e-9
{% endtest %}
