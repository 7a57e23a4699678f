"""What the project has made on this machine besides its environments, to be removed: `clean`."""

import shutil

from pipeline.exits import Exit, Stop
from pipeline.settings import PROJECT, Settings

# In the folder of MOOVITAMIX_HOME, and in the project's.
OF_HOME = (".dlt", ".trouble", "reports")
OF_PROJECT = (".dbt", "dbt_project/target", "dbt_project/logs", "grafana", ".airflow/home")


def remove(settings: Settings) -> None:
    """Remove it, the embedded warehouse included; the key stays, without which no backup of it could be used.

    Raises Stop(WRONG_SETTINGS) for what cannot be removed.
    """
    postgres = settings.postgres_folder
    try:
        made = [path for path in postgres.iterdir() if path != settings.erasure_key_file] if postgres.is_dir() else []
        made += [settings.home / name for name in OF_HOME] + [PROJECT / name for name in OF_PROJECT]
        for path in made:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    except OSError as error:
        raise Stop(
            Exit.WRONG_SETTINGS,
            f"{error.filename} cannot be removed ({error.strerror}); make that possible, then: make clean",
        ) from None
