"""Several heads: the mean of their softmaxes, the sum of their losses."""

import torch
import torch.nn.functional as F

from sifa_core.models.heads import average_heads, summed_loss


def test_the_average_is_that_of_probabilities():
    logits = torch.randn(3, 4, 2) * 5
    expected = (logits[..., 0].softmax(1) + logits[..., 1].softmax(1)) / 2
    torch.testing.assert_close(average_heads(logits).softmax(1), expected)
    torch.testing.assert_close(average_heads(logits).exp(), expected)  # already normalised


def test_very_different_heads_do_not_overflow():
    logits = torch.tensor([[[1000.0, -1000.0], [-1000.0, 1000.0]]])
    torch.testing.assert_close(average_heads(logits).softmax(1), torch.tensor([[0.5, 0.5]]))


def test_the_loss_is_the_sum_over_heads():
    logits, labels = torch.randn(3, 4, 2), torch.tensor([0, 3, 1])

    def criterion(scores, targets):
        return F.cross_entropy(scores, targets, label_smoothing=0.1)

    expected = criterion(logits[..., 0], labels) + criterion(logits[..., 1], labels)
    torch.testing.assert_close(summed_loss(logits, labels, criterion), expected)


def test_one_head_is_left_alone():
    logits, labels = torch.randn(3, 4), torch.tensor([0, 3, 1])
    assert average_heads(logits) is logits
    assert torch.equal(summed_loss(logits, labels, F.cross_entropy), F.cross_entropy(logits, labels))
