"""Rows are gathered in one pass, in any order, without keeping the pictures."""

import dataclasses
import pickle
import threading
import weakref

import numpy as np
import pytest

from tests.street_set import street_set
from tfcyclegan.errors import RunError
from tfcyclegan.evaluation import spool
from tfcyclegan.evaluation.scoring import measure
from tfcyclegan.measures import appearance, blur, label_maps, statistics
from tfcyclegan.measures.evaluation_set import FLOOR, OWN
from tfcyclegan.measures.pictures import InOrder, Made, Renamed
from tfcyclegan.measures.statistics import INPUTS, InBatches, Rows, of_pair, of_picture


@pytest.fixture(scope="module")
def photos():
    return street_set(lambda _, picture, true: (true * 0.9).astype(np.uint8), count=20)


def means(_, pictures):
    """Of a picture and of the first one of its batch."""
    return [(picture.mean(), pictures[0].mean(), len(pictures)) for picture in pictures]


def test_the_order_of_pictures_changes_no_row(photos):
    """Not even of networks, which see batches."""
    requests = [
        (of_picture(blur.sharpness), OWN, None),
        (of_picture(blur.sharpness), FLOOR, None),
        (of_pair(lambda picture, fake: fake.mean() - picture.mean()), OWN, None),
        (appearance.drawn, OWN, None),
        (InBatches(means), OWN, None),
    ]
    expected, found = (Rows(photos, requests) for _ in range(2))
    for name in expected.names:
        expected.add(name)
    for name in found.names[::-2] + found.names[-2::-2]:
        found.add(name)
    expected, found = expected.finish(), found.finish()
    sharp, of_real, changes, drawn, batched = (found[request] for request in requests)
    assert sharp == [blur.sharpness(picture) for picture in photos.own.values()]
    assert of_real == [blur.sharpness(picture) for picture in photos.held_out.values()]
    pairs = zip(photos.own.values(), photos.inputs.values(), strict=True)
    assert changes == [fake.mean() - picture.mean() for fake, picture in pairs]
    for one, other in zip(drawn, expected[requests[3]], strict=True):
        for points, same in zip(one.points, other.points, strict=True):
            np.testing.assert_array_equal(points, same)
    averages = [picture.mean() for picture in photos.own.values()]
    assert batched == [(mean, averages[0], 16) for mean in averages[:16]] + [
        (mean, averages[16], 4) for mean in averages[16:]
    ]


def test_sparse_matrices_are_the_whole_ones(photos):
    """As many pixels as the truths have, in 20 matrices of which most is 0."""
    maps = street_set(lambda _, picture, true: true, to_label_maps=True, count=6)
    found = label_maps.confusion_of_names(maps, list(maps.ids))
    labelled = [maps.table.to_train_ids(ids) < maps.table.count for ids in maps.ids.values()]
    assert found.pictures.sum(axis=(1, 2)).tolist() == [int(one.sum()) for one in labelled]
    assert found.pixel_accuracy == 1


class Watched:
    """Counts how often each picture is read, and how many of those read are still in memory."""

    def __init__(self):
        self.reads, self.alive, self.most = {}, 0, 0
        self._lock = threading.Lock()

    def of(self, label, pictures):
        def read(name):
            array = pictures[name].copy()
            with self._lock:
                self.reads[label, name] = self.reads.get((label, name), 0) + 1
                self.alive += 1
                self.most = max(self.most, self.alive)
            weakref.finalize(array, self._gone)
            return array

        return Made(read, {name: name for name in pictures})

    def _gone(self):
        self.alive -= 1


def test_pictures_pass_once_and_are_let_go(monkeypatch):
    """For all measures together: the translations twice, since the look by luminance needs the
    groups first, and the first of a group once more for its size.
    """
    photos = street_set(lambda _, picture, true: (true * 0.9).astype(np.uint8), count=7)
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    watched = Watched()
    held_out = watched.of(FLOOR, photos.held_out)
    passing = dataclasses.replace(
        photos,
        inputs=watched.of(INPUTS, photos.inputs),
        sets=photos.sets | {OWN: watched.of(OWN, photos.own)},
        held_out=held_out,
        truths=Renamed(held_out, {name: name for name in photos.truths}),
        target_train=InOrder(watched.of("train", dict(enumerate(photos.target_train)))),
        source_train=photos.source_train[:8],
        cycle="none",
    )
    found, seconds = measure(passing)
    assert len(found) > 10
    most = {INPUTS: 1, OWN: 3, FLOOR: 1, "train": 1}
    assert {key: count for key, count in watched.reads.items() if count > most[key[0]]} == {}
    assert len(watched.reads) == 3 * 7 + len(photos.target_train)
    assert watched.most <= 6, "of 61"
    assert seconds["pictures"] > 0


def test_kept_arrays_are_read_back_in_any_order(tmp_path, monkeypatch):
    arrays = {"b": np.arange(12, dtype=np.int16).reshape(2, 3, 2), "a/0": np.ones((1, 1, 3), bool)}
    place = spool.Spool(tmp_path / "not" / "yet")
    kept, more = place.keep(arrays.items()), place.keep([("c", np.full((2, 2), np.nan))])
    assert list(kept) == ["b", "a/0"] and len(more) == 1 and np.isnan(more["c"]).all()
    for name in ("a/0", "b", "a/0"):
        np.testing.assert_array_equal(kept[name], arrays[name], strict=True)
    assert list(tmp_path.iterdir()) == [], "it has no name"

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(place, "_file", type("File", (), {"tell": lambda _: 0, "write": full})())
    with pytest.raises(RunError, match="No space left on device"):
        place.keep(arrays.items())


def test_rows_wait_on_disk_and_come_back_in_order(photos, monkeypatch):
    """Part by part, with whole batches for networks, and as they are gathered in one part."""
    requests = ((of_picture(blur.sharpness), OWN), (InBatches(means), OWN), (appearance.drawn, OWN))
    whole = dataclasses.replace(photos).rows(*requests)
    monkeypatch.setattr(statistics, "HELD", 16)
    scored = dataclasses.replace(photos)
    sharp, batched, drawn = scored.rows(*requests)
    assert (sharp, batched) == tuple(whole[:2]) and len(sharp) == 20
    for one, other in zip(drawn, whole[2], strict=True):
        for points, same in zip(one.points, other.points, strict=True):
            np.testing.assert_array_equal(points, same)
    assert not scored.gathered.rows
    for _ in range(2):
        assert scored.rows(*requests)[0] == sharp
    assert not pickle.loads(pickle.dumps(scored.gathered.kept))._places
