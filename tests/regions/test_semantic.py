import torch

from rdc_sweeps.regions.semantic import semantic_regions


def test_classes_are_regions_and_void_is_none() -> None:
    label = torch.tensor([[[0, 12, -1], [3, 3, -100]]])
    regions = semantic_regions(label)
    assert regions.dtype == torch.int32
    assert regions.tolist() == [[[0, 12, -1], [3, 3, -1]]]
    assert label[0, 1, 2] == -100
