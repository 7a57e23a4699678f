"""Remove the files that the project has generated on this machine, except its environments: `clean`."""

import shutil

from pipeline.settings import PROJECT, Settings
from warehouse.errors import CommandError, ExitCode

# In the folder of MOOVITAMIX_HOME, and in the project's.
OF_HOME = (".dbt", ".dlt", ".incident", "reports")
OF_PROJECT = ("dbt_project/target", "dbt_project/logs", "grafana", ".airflow/home")


def remove(settings: Settings) -> None:
    """Remove generated files and the embedded warehouse. The erasure key stays, because backups need it.

    Raises CommandError(WRONG_SETTINGS) for a file that cannot be removed.
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
        raise CommandError(
            ExitCode.WRONG_SETTINGS,
            f"{error.filename} cannot be removed ({error.strerror}); correct its permissions, then: make clean",
        ) from None
