"""Each setting is in one row of the table of docs/operations/settings.md."""

import re

from pipeline.settings import PROJECT, SECRETS, SETTINGS


def test_the_table_lists_each_setting_once():
    text = (PROJECT / "docs" / "operations" / "settings.md").read_text("utf-8")
    table = text.partition("| variable |")[2].partition("\n\n")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    listed = [name for names in rows for name in re.findall(r"`([A-Z_]+)`", names)]
    assert len(listed) == len(set(listed))
    assert set(listed) == set(SETTINGS) - {f"{name}_FILE" for name in SECRETS}
