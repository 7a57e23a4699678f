{# Fails with each row whose value lies outside [at_least, at_most]; a hair's breadth is allowed for sums of floats. #}
{% test between(model, column_name, at_least, at_most) %}
select *
from {{ model }}
where {{ column_name }} not between {{ at_least }} - 1e-9 and {{ at_most }} + 1e-9
{% endtest %}
