"""The README's way to add a model works as it is written."""

import re
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np

from recommender import artefacts, models
from recommender.evaluation_protocol import evaluate
from recommender.folds import fold_of_log
from recommender.releases import DISCOVER
from recommender.tuning import MOST_TRIALS
from tests.listens import random_dataset

README = Path(__file__).parents[3] / "recommender/README.md"


def test_the_model_of_the_readme_is_compared_with_the_others_and_can_be_stored(monkeypatch):
    (source,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    module = ModuleType("recommender.models.recent")
    monkeypatch.setitem(sys.modules, module.__name__, module)  # where dataclasses look names up
    exec(source, vars(module))
    monkeypatch.setitem(models.MODELS, module.NAME, module)
    listens = random_dataset(1).listens
    is_target = np.random.default_rng(0).random(len(listens.tracks)) < 0.3
    targets = listens.where(is_target).weights()
    targets.data[:] = 1
    fold = fold_of_log(np.arange(40), np.arange(30), listens.where(~is_target), targets)
    result = evaluate(fold, fold, ["recent"], 0, 0, are_all_final=True)
    assert {row.model for row in result.rows if row.list == DISCOVER} == {"popularity", "recent"}
    assert result.trials["recent"] == 1 < MOST_TRIALS
    model = module.fit(fold.dataset, {}, 0)
    assert model.explain(fold.dataset.users, np.zeros((40, 2), np.int64)).kinds.shape == (40, 2)
    content = artefacts.dump(model, fold.dataset.catalogue)
    stored = artefacts.load(content, artefacts.checksum(content), artefacts.FORMAT)
    without_first = replace(fold.dataset.catalogue, track_ids=fold.dataset.catalogue.track_ids[1:])
    np.testing.assert_array_equal(artefacts.renumber(stored, without_first).newest, model.newest[1:])
