"""The plan of label maps as classes holds runs that train takes."""

from collections import Counter

from benchmarks import labels_quality


def test_every_run_of_the_plan_is_one_that_train_takes():
    cells = labels_quality.plan()
    assert len({cell.place for cell in cells}) == len(cells)
    for cell in cells:
        config = cell.config(cell.steps(1))
        assert config.seed == cell.seed and config.onehot == ("" if cell.name == "colours" else "b")
        supervised = not (config.lambda_gan or config.lambda_a or config.lambda_b)
        assert supervised == cell.name.startswith("supervised")
    names = Counter(cell.name for cell in cells)
    for kind in ("semi-supervised", "supervised"):
        assert [names[f"{kind} {percent}%"] for percent in labels_quality.SHARES] == [1, 3, 1, 1]
    assert (
        names["supervised 100%"] == 1 and names["colours"] == names["onehot straight_through"] == 3
    )
