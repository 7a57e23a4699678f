"""Define the names that all packages share: schemas, steps and their roles, and the states of a load."""

SCHEMAS = ("staging", "prep", "gate", "marts", "features", "recommendations", "ops")
# By step: the role that `grant` makes for it, and the schema in which that role creates relations.
STEP_ROLES = {
    "extract": ("moovitamix_loader", "staging"),
    "gate": ("moovitamix_gate", "gate"),
    "build": ("moovitamix_transformer", "prep"),
    "recommend": ("moovitamix_recommender", "recommendations"),
}
STEPS = tuple(STEP_ROLES)
STEP_ROLE_NAMES = tuple(role for role, _ in STEP_ROLES.values())
# The commands of a whole run in the run ledger: a setting leaves the last step out, and earlier versions lack it.
FULL_RUNS = (" ".join(STEPS), " ".join(STEPS[:-1]))
# The landing tables that hold rows of the source, in the order of the data flow.
SOURCE_TABLE_NAMES = ("users", "tracks", "listen_history")

# States of a load, per table. Readers see published loads; a disregarded load counts as never delivered.
PUBLISHED = ("accepted", "accepted_with_quarantine", "released")
DISREGARDED = ("blocked", "superseded", "rejected")

# Lists of recommendations, and what put a track on one: the model of the list, or what fills it up.
LISTS = ("discover", "again")
ITEM_SOURCES = ("model", "genres", "popular")
