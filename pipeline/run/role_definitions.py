"""Define the roles of the warehouse: one for each step, for analysts, for monitoring and for the service.

The roles cannot log in: the operator grants them to logins.
"""

import yaml

from pipeline.settings import PROJECT
from warehouse.names import STEP_ROLE_NAMES

MODELS = PROJECT / "dbt_project" / "models"
MARTS = (MODELS / "marts" / "_marts.yml", MODELS / "analytics" / "_analytics.yml")
LOADER, GATE, TRANSFORMER, RECOMMENDER = STEP_ROLE_NAMES
ANALYST, MONITOR, SERVICE = "moovitamix_analyst", "moovitamix_monitor", "moovitamix_service"
READERS = (ANALYST, RECOMMENDER)
ROLES = (*STEP_ROLE_NAMES, ANALYST, MONITOR, SERVICE)
READABLE_SCHEMAS = ("marts", "features", "recommendations")
# A new mart is hidden from the recommender until it is listed here.
RECOMMENDERS_MARTS = ("users", "tracks", "track_genres", "listen_history")
# Not the lists themselves, which still have the tracks and users that were removed since.
RECOMMENDATIONS = ("recommendations.current_recommendations", "recommendations.release_quality")
READABLE_RECOMMENDATIONS = (
    *RECOMMENDATIONS,
    "recommendations.releases",
    "recommendations.release_history",
    "recommendations.quality",
)
# What the recommender adds to and never changes. It owns all other tables of the schema, those of later migrations too.
DECISIONS = ("recommendations.aliases", "recommendations.release_history")
# What the service reads: lists and models of releases, and of the marts only these columns. None of them is personal.
SERVICES_COLUMNS = {
    **dict.fromkeys(
        (
            "recommendations.lists",
            "recommendations.releases",
            "recommendations.release_history",
            "recommendations.release_models",
            "recommendations.model_versions",
            "recommendations.quality",
            "features.track_history",
        ),
        None,
    ),
    "marts.users": ("id", "favorite_genres", "deleted_at"),
    "marts.tracks": ("id", "name", "artist", "deleted_at"),
    "marts.track_genres": ("track_id", "genre"),
    "marts.listen_history": ("user_id", "track_id", "listened_at", "known_at"),
}


def read_marts() -> dict[str, dict[str, bool]]:
    """Return by mart its columns, and whether each is personal: `config: {meta: {personal: true}}` in its file."""
    return {
        model["name"]: {
            column["name"]: column.get("config", {}).get("meta", {}).get("personal", False)
            for column in model["columns"]
        }
        for file in MARTS
        for model in yaml.safe_load(file.read_text())["models"]
    }
