"""Explanations: contributions add up to the logit, and removing the most important concepts lowers its probability."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from benchmarks.cifar_resnet import export_onnx, load_cifar_resnet
from iis_engine.backbones.factory import load_backbone
from iis_engine.data.datasets import read_image_folder
from iis_engine.data.image_dataset import ImageDataset
from iis_engine.errors import SettingError
from iis_engine.explanations import explain as module
from iis_engine.explanations.explain import (
    MOST_COUNTS,
    RANDOM_ORDERS,
    Changes,
    class_label,
    counterfactual,
    explain,
    intervene,
    prediction_of,
)
from iis_engine.features.extraction import extract_features
from iis_engine.libraries.library import ConceptLibrary
from iis_engine.scoring.predictor import Predictor
from iis_engine.specs import BackboneSpec, ElementSpec, Preprocessing
from support.scored import Scored

REAL_NETWORKS = ("cifar10_resnet20", "imagenet_mobilenetv1_025")
CONCEPT_COUNT = 40
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")


def predictor_of(head: Tensor, kept: int) -> Predictor:
    """A predictor with this head (M + 1, C); its library is not used."""
    count, classes = head.shape[0] - 1, head.shape[1]
    library = ConceptLibrary("random", torch.eye(count), ("random",) * count, ())
    return Predictor(library, kept, head.float(), tuple(f"class {label}" for label in range(classes)), (None,) * count)


HEAD = torch.tensor([[3.0, 0, 0], [0, 2, 1], [1, 1, 4], [0.5, 0, -0.5]])  # centred: [2 -1 -1], [-1 1 0], [-1 -1 2], and the bias
ACTIVATIONS = torch.tensor([2.0, -1, 0.5])  # of which two are kept
LOGITS = torch.tensor([5.5, -3, -2.5], dtype=torch.float64)


@pytest.fixture
def by_hand() -> Predictor:
    return predictor_of(HEAD, kept=2)


def test_contributions_bias_and_logit_are_those_computed_by_hand(by_hand: Predictor) -> None:
    found = explain(by_hand, ACTIVATIONS)
    assert found.activations.tolist() == [2, -1, 0]
    assert found.contributions.tolist() == pytest.approx([4, 1, 0])
    assert (found.bias, found.logit, found.contrast) == (pytest.approx(0.5), pytest.approx(5.5), None)
    probabilities = LOGITS.softmax(dim=0).tolist()
    assert found.prediction.label == 0
    assert found.prediction.probability == pytest.approx(probabilities[0])
    assert [label for label, _ in found.prediction.top] == [0, 2, 1]
    assert [probability for _, probability in found.prediction.top] == pytest.approx([probabilities[0], probabilities[2], probabilities[1]])


def test_contrastive_contributions_are_those_of_the_difference_of_two_classes(by_hand: Predictor) -> None:
    found = explain(by_hand, ACTIVATIONS, contrast=2)
    assert found.contributions.tolist() == pytest.approx([6, 1, 0])
    assert (found.bias, found.logit, found.contrast) == (pytest.approx(1), pytest.approx(8), 2)


def test_the_curves_of_two_kept_concepts_are_those_computed_by_hand(by_hand: Predictor) -> None:
    def p(*logits: float) -> float:
        return float(torch.tensor(logits, dtype=torch.float64).softmax(dim=0)[0])

    whole, without_first, first_alone, nothing = p(5.5, -3, -2.5), p(1.5, -1, -0.5), p(4.5, -2, -2.5), p(0.5, 0, -0.5)
    found = explain(by_hand, ACTIVATIONS).faithfulness
    assert found.counts == (0, 1, 2)
    assert found.deletion == pytest.approx((whole, without_first, nothing))
    assert found.sufficiency == pytest.approx((nothing, first_alone, whole))
    times_the_second_went_first = (found.deletion_random[1] - without_first) / (first_alone - without_first) * RANDOM_ORDERS
    assert times_the_second_went_first == pytest.approx(round(times_the_second_went_first), abs=1e-3)
    assert 1 <= round(times_the_second_went_first) < RANDOM_ORDERS


def test_equal_probabilities_go_to_the_lower_label_and_at_most_five_classes_are_named() -> None:
    assert prediction_of(torch.full((7,), 1 / 7)).top == tuple((label, pytest.approx(1 / 7)) for label in range(5))


def test_a_contrast_with_the_predicted_class_or_with_none_is_refused(by_hand: Predictor) -> None:
    with pytest.raises(SettingError, match=r"class 0 is the predicted class itself; choose another class for the contrast\.$") as caught:
        explain(by_hand, ACTIVATIONS, contrast=0)
    assert (caught.value.code, caught.value.param) == ("contrast_predicted", "contrast")
    for unknown in (3, -1):
        with pytest.raises(SettingError, match=f"no class {unknown}"):
            explain(by_hand, ACTIVATIONS, contrast=unknown)


def test_classes_are_found_by_name(by_hand: Predictor) -> None:
    assert class_label(by_hand.class_names, "class 2", "contrast") == 2
    with pytest.raises(SettingError, match=r"no class 'dog'; the classes are class 0, class 1, class 2\.$"):
        class_label(by_hand.class_names, "dog", "contrast")


def require_additive(scored: Scored) -> None:
    """Assert that contributions and bias add up to the centred logit of the fitted head, at every node of the curve."""
    features, family = scored.features, scored.family
    dense = family.library.activations(features.X_test)
    for kept in family.nodes:
        predictor = family.at(kept)
        raw = predictor.activations(features.X_test).double() @ predictor.head[:-1].double() + predictor.head[-1].double()
        for activations, logits in zip(dense, raw, strict=True):
            found = explain(predictor, activations)
            label, runner_up = (label for label, _ in found.prediction.top[:2])
            against = explain(predictor, activations, contrast=runner_up)
            for one, logit in ((found, logits[label] - logits.mean()), (against, logits[label] - logits[runner_up])):
                assert one.logit == pytest.approx(float(logit), abs=1e-5)
                assert float(one.contributions.sum()) + one.bias == pytest.approx(float(logit), abs=1e-5)
                assert int((one.contributions != 0).sum()) <= kept


@pytest.fixture
def contributions_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip faithfulness and counterfactuals, which would take a minute for thousands of explanations."""

    def nothing(*_: object) -> None: ...

    for name in ("faithfulness", "counterfactual"):
        monkeypatch.setattr(module, name, nothing)


@pytest.mark.usefixtures("contributions_alone")
def test_contributions_add_up_for_every_test_image_at_every_node(digits: Scored) -> None:
    require_additive(digits)


@settings(deadline=None, max_examples=50)
@given(st.data())
def test_a_shift_shared_by_all_classes_changes_no_contribution(data: st.DataObject) -> None:
    concepts, classes = data.draw(st.integers(1, 6)), data.draw(st.integers(2, 5))
    numbers = st.integers(-40, 40).map(lambda eighths: eighths / 8)  # so that shifting rounds nothing
    head = torch.tensor(data.draw(st.lists(numbers, min_size=(concepts + 1) * classes, max_size=(concepts + 1) * classes)))
    head = head.view(concepts + 1, classes)
    activations = torch.tensor(data.draw(st.lists(numbers, min_size=concepts, max_size=concepts)))
    shifts = torch.tensor(data.draw(st.lists(numbers, min_size=concepts + 1, max_size=concepts + 1))).unsqueeze(1)
    kept = data.draw(st.integers(1, concepts))
    plain, shifted = (predictor_of(shape, kept) for shape in (head, head + shifts))
    logits = plain.logits(plain_kept(activations, kept).unsqueeze(0))[0].sort(descending=True).values
    assume(float(logits[0] - logits[1]) > 1e-9)  # where two classes tie, rounding may name either
    one, other = explain(plain, activations), explain(shifted, activations)
    assert other.prediction.label == one.prediction.label
    assert torch.allclose(other.contributions, one.contributions, atol=1e-9)
    assert other.logit == pytest.approx(one.logit, abs=1e-9)
    assert other.faithfulness.deletion == pytest.approx(one.faithfulness.deletion, abs=1e-9)


def plain_kept(activations: Tensor, kept: int) -> Tensor:
    """The `kept` largest magnitudes by a loop, ties to the lower index."""
    order = sorted(range(len(activations)), key=lambda j: (-abs(float(activations[j])), j))
    return torch.tensor([float(value) if j in order[:kept] else 0.0 for j, value in enumerate(activations)], dtype=torch.float64)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(2, 6))
def test_curves_begin_and_end_at_the_prediction_and_at_the_bias_alone(seed: int, concepts: int, classes: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    predictor = predictor_of(torch.randn(concepts + 1, classes, generator=generator), kept=concepts)
    found = explain(predictor, torch.randn(concepts, generator=generator))
    p, nothing = found.prediction.probability, float(predictor.bias.softmax(dim=0)[found.prediction.label])
    curves = found.faithfulness
    assert (curves.deletion[0], curves.sufficiency[0]) == (pytest.approx(p), pytest.approx(nothing))
    assert (curves.deletion[-1], curves.sufficiency[-1]) == (pytest.approx(nothing), pytest.approx(p))
    assert (curves.deletion_random[0], curves.deletion_random[-1]) == (pytest.approx(p, rel=1e-4), pytest.approx(nothing, rel=1e-4))
    assert (curves.sufficiency_random[0], curves.sufficiency_random[-1]) == (pytest.approx(nothing, rel=1e-4), pytest.approx(p, rel=1e-4))


def test_each_point_of_a_curve_is_the_prediction_without_these_concepts(digits: Scored) -> None:
    predictor = digits.family.at(digits.family.nodes[2])
    for activations in digits.family.library.activations(digits.features.X_test[:20]):
        found = explain(predictor, activations)
        order = torch.argsort(found.contributions, descending=True, stable=True)
        order = order[found.activations[order] != 0]
        for place, count in enumerate(found.faithfulness.counts):
            deleted, alone = found.activations.clone(), torch.zeros_like(found.activations)
            deleted[order[:count]] = 0
            alone[order[:count]] = found.activations[order[:count]]
            probabilities = predictor.logits(torch.stack([deleted, alone])).softmax(dim=1)[:, found.prediction.label].tolist()
            assert (found.faithfulness.deletion[place], found.faithfulness.sufficiency[place]) == pytest.approx(
                tuple(probabilities), abs=1e-9
            )


def test_curves_of_many_kept_concepts_have_few_counts_and_of_none_one() -> None:
    generator = torch.Generator().manual_seed(0)
    predictor = predictor_of(torch.randn(201, 3, generator=generator), kept=200)
    counts = explain(predictor, torch.randn(200, generator=generator)).faithfulness.counts
    assert (counts[:6], counts[-1]) == ((0, 1, 2, 3, 4, 5), 200)
    assert len(counts) <= MOST_COUNTS + 1
    assert list(counts) == sorted(set(counts))
    found = explain(predictor, torch.zeros(200))
    assert found.faithfulness.counts == (0,)
    assert found.faithfulness.deletion == (pytest.approx(found.prediction.probability),)
    assert found.counterfactual is None


def test_a_counterfactual_is_the_one_computed_by_hand() -> None:
    head = torch.cat([HEAD[:3], torch.tensor([[-1.0, 0, 1]])])  # margins over class 2: 6 + 1 - 2, over class 1: 6 + 2 - 1
    found = explain(predictor_of(head, 2), ACTIVATIONS).counterfactual
    assert found is not None
    assert (found.removed, found.label) == ((0,), 2)
    assert found.probability == pytest.approx(float(torch.tensor([0.0, -1, 1]).softmax(dim=0)[2]))


def test_there_is_no_counterfactual_where_the_bias_alone_decides(by_hand: Predictor) -> None:
    assert explain(by_hand, ACTIVATIONS).counterfactual is None


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_no_smaller_removal_than_the_counterfactual_changes_the_prediction(data: st.DataObject) -> None:
    concepts, classes = data.draw(st.integers(1, 6)), data.draw(st.integers(2, 4))
    numbers = st.integers(-6, 6).map(lambda halves: halves / 2)
    size = (concepts + 1) * classes
    predictor = predictor_of(torch.tensor(data.draw(st.lists(numbers, min_size=size, max_size=size))).view(-1, classes), concepts)
    sparse = torch.tensor(data.draw(st.lists(numbers, min_size=concepts, max_size=concepts)), dtype=torch.float64)
    logits = predictor.logits(sparse.unsqueeze(0))[0]
    label = int(logits.argmax())
    assume(all(float(logits[label] - logits[other]) > 1e-9 for other in range(classes) if other != label))

    def changes(removed: tuple[int, ...]) -> bool:
        after = sparse.clone()
        after[list(removed)] = 0
        left = predictor.logits(after.unsqueeze(0))[0]
        return float(left.max() - left[label]) > 1e-9

    present = sparse.nonzero().flatten().tolist()
    smallest = next((size for size in range(len(present) + 1) if any(map(changes, combinations(present, size)))), None)
    found = counterfactual(predictor, sparse, label)
    assert (None if found is None else len(found.removed)) == smallest
    if found is not None:
        assert set(found.removed) <= set(present)
        assert changes(found.removed)
        after = sparse.clone()
        after[list(found.removed)] = 0
        probabilities = predictor.logits(after.unsqueeze(0))[0].softmax(dim=0)
        assert found.label == int(probabilities.argmax()) != label
        assert found.probability == pytest.approx(float(probabilities.max()))


def test_concepts_are_set_scaled_and_suppressed(by_hand: Predictor) -> None:
    before, after = intervene(by_hand, ACTIVATIONS, Changes(set={2: 3.0}, scale={0: 0.5, 1: 0.0}))
    assert (before.tolist(), after.tolist()) == ([2, -1, 0], [1, 0, 3])
    logits = by_hand.logits(torch.stack([before, after]))
    assert logits.tolist() == [pytest.approx(LOGITS.tolist()), pytest.approx([2 - 3 + 0.5, -1 - 3, -1 + 6 - 0.5])]
    assert ACTIVATIONS.tolist() == [2, -1, 0.5]


def test_a_concept_that_is_not_kept_stays_zero_when_scaled(by_hand: Predictor) -> None:
    before, after = intervene(by_hand, ACTIVATIONS, Changes(set={}, scale={2: 1000.0}))
    assert after.tolist() == before.tolist() == [2, -1, 0]


@pytest.mark.parametrize(
    ("changes", "sentence", "code", "param"),
    [
        (Changes({3: 1.0}, {}), "There is no concept 3; concepts are 0 to 2.", "concept_unknown", "set"),
        (Changes({}, {-1: 1.0}), "There is no concept -1; concepts are 0 to 2.", "concept_unknown", "scale"),
        (Changes({0: 1.0, 1: 1.0}, {1: 2.0}), "Concept 1 is changed twice; set it, suppress it or scale it.", "concept_twice", "set"),
        (Changes({0: float("nan")}, {}), "nan is not a valid activation or factor for concept 0", "setting_invalid", "set"),
        (Changes({}, {0: float("inf")}), "inf is not a valid activation or factor for concept 0", "setting_invalid", "scale"),
        (
            Changes({0: 1e300}, {}),
            "1e+300 is not a valid activation or factor for concept 0; send one from -1,000,000",
            "setting_invalid",
            "set",
        ),
        (
            Changes(dict.fromkeys(range(1001), 0.0), {}),
            "1,001 concepts are changed; at most 1,000 are allowed at once",
            "too_many_changes",
            None,
        ),
    ],
)
def test_invalid_interventions_are_refused(by_hand: Predictor, changes: Changes, sentence: str, code: str, param: str | None) -> None:
    with pytest.raises(SettingError) as caught:
        intervene(by_hand, ACTIVATIONS, changes)
    assert str(caught.value).startswith(sentence)
    assert str(caught.value).endswith(".")
    assert (caught.value.code, caught.value.param) == (code, param)


def thinned(dataset: ImageDataset, every: int) -> ImageDataset:
    """Every n-th image of both splits."""
    return replace(
        dataset,
        train=dataset.train[::every],
        test=dataset.test[::every],
        train_digests=dataset.train_digests[::every],
        digest=f"{dataset.digest} every {every}",
    )


@pytest.fixture(scope="module", params=REAL_NETWORKS)
def real(request: pytest.FixtureRequest, shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Scored:
    """A pre-trained network scored on a part of the real images."""
    folder, checkpoint = tmp_path_factory.mktemp("real"), shared_data / "weights" / f"{request.param}.safetensors"
    if request.param.startswith("cifar10"):
        export_onnx(load_cifar_resnet(checkpoint, 20), folder / "network.onnx")
        spec, network = BackboneSpec("onnx", preprocessing=CIFAR_PREPROCESSING), folder / "network.onnx"
        dataset = thinned(read_image_folder(shared_data / "cifar10"), 5)
    else:
        spec, network = BackboneSpec("timm:mobilenetv1_100", MOBILENET, preprocessing=MOBILENET_PREPROCESSING), checkpoint
        dataset = read_image_folder(shared_data / "flowers17")
    elements = ElementSpec("patches", images_per_class=2, scales=(4,))
    features = extract_features(load_backbone(spec, network), dataset, elements, shard_folder=folder / "shards")
    return Scored.of(features, CONCEPT_COUNT)


MOBILENET = {"channel_multiplier": 0.25, "pad_type": "same"}
HALF = (0.5, 0.5, 0.5)
MOBILENET_PREPROCESSING = Preprocessing(input_size=128, mean=HALF, std=HALF, interpolation="bicubic", crop_pct=0.875)
CIFAR_PREPROCESSING = Preprocessing(input_size=32, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


@pytest.mark.slow
@pytest.mark.usefixtures("contributions_alone")
def test_on_real_images_contributions_add_up_at_every_node(real: Scored) -> None:
    require_additive(real)


@pytest.mark.slow
@pytest.mark.parametrize("kept", [4, 12, 20])
def test_on_real_images_deleting_the_top_concepts_lowers_the_probability_more_than_random_ones(
    kept: int, real: Scored, request: pytest.FixtureRequest
) -> None:
    predictor = real.family.at(kept)
    found = [explain(predictor, row).faithfulness for row in real.family.library.activations(real.features.X_test)]
    curves = {
        name: torch.tensor([getattr(one, name) for one in found], dtype=torch.float64).mean(dim=0)
        for name in ("deletion", "deletion_random", "sufficiency", "sufficiency_random")
    }
    accuracy = float((predictor.predict(real.features.X_test) == real.features.y_test).double().mean())
    print(f"\n{request.node.callspec.id}: {len(found)} images, accuracy {accuracy:.3f}, counts {found[0].counts}")
    for name, curve in curves.items():
        print(f"  {name:18} {' '.join(f'{value:.3f}' for value in curve.tolist())}  mean {float(curve.mean()):.3f}")
    inner = slice(1, -1)  # at both ends the orders cannot differ
    assert bool((curves["deletion"][inner] < curves["deletion_random"][inner]).all())
    assert bool((curves["sufficiency"][inner] > curves["sufficiency_random"][inner]).all())
    assert float(curves["deletion"].mean()) < float(curves["deletion_random"].mean()) - 0.05
    assert float(curves["sufficiency"].mean()) > float(curves["sufficiency_random"].mean()) + 0.05
