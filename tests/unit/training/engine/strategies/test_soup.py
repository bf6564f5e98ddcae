import numpy as np
import torch

from training.engine.strategies.soup import Soup

SAID = np.full((3, 2), 0.5, np.float32)
PRETRAINED = {"early": torch.tensor([8.0]), "late": torch.tensor([4.0]), "batches": torch.tensor(5)}


def weights(**values: float) -> dict[str, torch.Tensor]:
    return {name: torch.tensor([value]) for name, value in values.items()}


def test_weight_that_a_network_has_not_trained_counts_as_it_was() -> None:
    soup = Soup()
    soup.add("last stages", 2, [weights(late=1)], SAID)
    soup.add("whole network", 0, [weights(early=2, late=3)], SAID)
    found = soup.mean(0, PRETRAINED)
    assert {name: value.item() for name, value in found.items()} == {"early": 5, "late": 2, "batches": 5}
    assert soup.cut == 0
    assert soup.title == "Mean of 2 ways"


def test_one_more_is_averaged_without_joining() -> None:
    soup = Soup()
    soup.add("last stages", 2, [weights(late=1)], SAID)
    found = soup.mean(0, PRETRAINED, weights(early=2, late=7))
    assert (found["early"].item(), found["late"].item()) == (5, 4)
    assert (soup.mean(0, PRETRAINED)["late"].item(), soup.title) == (1, "last stages")


def test_networks_of_all_turns_are_averaged_together() -> None:
    soup = Soup()
    soup.add("last stages", 2, [weights(late=1), weights(late=3)], SAID)
    soup.add("whole network", 0, [weights(early=0, late=5), weights(early=4, late=7)], SAID)
    assert (soup.mean(0, PRETRAINED)["late"].item(), soup.mean(1, PRETRAINED)["late"].item()) == (3, 5)
    everything = soup.of_all_turns()
    everything.add("whole network", 0, [weights(early=0, late=4)], SAID)
    found = everything.mean(0, PRETRAINED)
    assert found["late"].item() == (1 + 3 + 5 + 7 + 4) / 5
    assert found["early"].item() == (8 + 8 + 0 + 4 + 0) / 5


def test_what_a_checkpoint_keeps_is_the_same_soup() -> None:
    soup = Soup()
    soup.add("last stages", 2, [weights(late=1)], SAID)
    again = Soup.from_tensors(soup.to_tensors())
    assert (again.cut, again.titles, again.counts) == (2, ["last stages"], {"late": 1})
    np.testing.assert_array_equal(again.probabilities, SAID)
    assert again.mean(0, PRETRAINED)["late"].item() == 1
    again.clear()
    assert len(again) == 0
    again.add("whole network", 0, [weights(early=1, late=1)], SAID)
    assert (again.cut, again.mean(0, PRETRAINED)["early"].item()) == (0, 1)
