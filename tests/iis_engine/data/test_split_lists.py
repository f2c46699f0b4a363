"""Lists beside the images of published data sets: splits and labels as their authors give them."""

from __future__ import annotations

from itertools import product
from pathlib import Path

from iis_engine.data.datasets import read_image_folder
from iis_engine.data.image_dataset import ImageDataset
from support.image_files import write_images, write_text


def names_of(dataset: ImageDataset, split: str) -> list[str]:
    return sorted(f"{dataset.class_names[image.label]}/{image.path.stem}" for image in getattr(dataset, split))


def test_food_101s_lists_give_its_splits(tmp_path: Path) -> None:
    images = (("ramen", 105), ("ramen", 17), ("ramen", 962), ("sushi", 105), ("sushi", 3), ("sushi", 40))
    write_images(tmp_path, [f"food-101/images/{name}/{number}.jpg" for name, number in images])
    write_text(tmp_path, "food-101/meta/train.txt", ["ramen/105", "ramen/17", "sushi/105", "sushi/3"])
    write_text(tmp_path, "food-101/meta/test.txt", ["ramen/962", "sushi/40"])
    dataset = read_image_folder(tmp_path)
    assert names_of(dataset, "train") == ["ramen/105", "ramen/17", "sushi/105", "sushi/3"]
    assert names_of(dataset, "test") == ["ramen/962", "sushi/40"]
    assert dataset.notes[-1] == "The splits were read from test.txt, train.txt."


def test_cubs_lists_give_its_splits(tmp_path: Path) -> None:
    paths = [f"{name}/{name[4:]}_{number}.jpg" for name, number in product(("001.Gull", "002.Wren"), (11, 22, 33))]
    write_images(tmp_path, [f"CUB/images/{path}" for path in paths])
    write_text(tmp_path, "CUB/images.txt", [f"{place} {path}" for place, path in enumerate(paths, start=1)])
    write_text(tmp_path, "CUB/train_test_split.txt", [f"{place} {int(place % 3 != 0)}" for place in range(1, 7)])
    write_text(tmp_path, "CUB/attributes/attributes.txt", ["x"])
    dataset = read_image_folder(tmp_path)
    assert dataset.class_names == ("001.Gull", "002.Wren")
    assert names_of(dataset, "test") == ["001.Gull/Gull_33", "002.Wren/Wren_33"]
    assert len(dataset.train) == 4


def test_the_oxford_pets_are_read_by_their_lists_and_their_trimaps_are_not(tmp_path: Path) -> None:
    stems = [f"{breed}_{number}" for breed, number in product(("Abyssinian", "pug", "great_dane"), (1, 2, 3))]
    write_images(tmp_path, [f"images/{stem}.jpg" for stem in stems])
    write_images(tmp_path, [f"annotations/trimaps/{stem}.png" for stem in stems])
    numbers = {"Abyssinian": "1 1 1", "pug": "2 2 1", "great_dane": "3 2 2"}
    for split, kept in (("trainval", "12"), ("test", "3")):
        lines = [f"{stem} {numbers[stem.rsplit('_', 1)[0]]}" for stem in stems if stem[-1] in kept]
        write_text(tmp_path, f"annotations/{split}.txt", lines)
    dataset = read_image_folder(tmp_path)
    assert dataset.class_names == ("Abyssinian", "great_dane", "pug")
    assert names_of(dataset, "test") == ["Abyssinian/Abyssinian_3", "great_dane/great_dane_3", "pug/pug_3"]
    assert all("trimaps" not in str(image.path) for image in dataset.train)


def test_tiny_imagenets_validation_images_are_labelled_by_their_annotations(tmp_path: Path) -> None:
    write_images(tmp_path, [f"train/{name}/images/{name}_{n}.JPEG" for name, n in product(("n01", "n02"), range(3))])
    write_images(tmp_path, [f"val/images/val_{number}.JPEG" for number in range(4)])
    write_images(tmp_path, ["test/images/test_0.JPEG"])
    write_text(tmp_path, "val/val_annotations.txt", [f"val_{n}.JPEG\tn0{1 + n % 2}\t0\t0\t62\t62" for n in range(4)])
    dataset = read_image_folder(tmp_path)
    assert dataset.class_names == ("n01", "n02")
    assert names_of(dataset, "test") == ["n01/val_0", "n01/val_2", "n02/val_1", "n02/val_3"]
    assert len(dataset.train) == 6
