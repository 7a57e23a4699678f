"""Test the text of the dbt project, without dbt."""

import warnings

import jinja2

from pipeline.settings import PROJECT


def test_no_string_of_jinja_has_an_escape_that_python_warns_about():
    """Python turns it into an error if the shell sets PYTHONWARNINGS=error, and will always do so one day."""
    environment = jinja2.Environment()
    for path in sorted((PROJECT / "dbt_project").rglob("*.sql")):
        for line, kind, text in environment.lex(path.read_text()):
            if kind == "string":
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always")
                    text.encode("ascii", "backslashreplace").decode("unicode-escape")
                assert not caught, (path.name, line, text)
