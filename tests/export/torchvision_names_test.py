"""Names and layouts of torchvision, in both directions."""

import sys

import numpy as np
import pytest

from tf_ssl import errors
from tf_ssl.encoders import batch_norm, resnet
from tf_ssl.export import foreign_resnet, stored_arrays, torchvision_names


def _encoder(stack=resnet.basic_stack, blocks=(1, 2, 1, 1), stem="small"):
  encoder = resnet.ResNet(
    stack=stack,
    blocks=blocks,
    width=1 / 16,
    stem=stem,
    batch_norm=batch_norm.plain,
  )
  images = np.random.default_rng(0).normal(size=[2, 32, 32, 3])
  encoder(np.float32(images), training=True)
  return encoder


def _stored(arrays):
  return {
    name: stored_arrays.in_memory(array) for name, array in arrays.items()
  }


@pytest.mark.parametrize("stem", ["small", "imagenet"])
@pytest.mark.parametrize("bottleneck", [False, True])
def test_names_are_pytorchs_in_its_order(bottleneck, stem):
  pytest.importorskip("torch", reason="needs PyTorch to compare with")
  from tests.export import torch_resnet_reference

  stack = resnet.bottleneck_stack if bottleneck else resnet.basic_stack
  ours = torchvision_names.state_dict(_encoder(stack, stem=stem))
  model = torch_resnet_reference.ResNet(
    (1, 2, 1, 1), bottleneck=bottleneck, stem=stem
  )
  theirs = {
    name: tuple(value.shape)
    for name, value in model.state_dict().items()
    if not name.startswith("fc.") and not name.endswith("num_batches_tracked")
  }
  assert {name: array.shape for name, array in ours.items()} == theirs
  assert list(ours) == list(theirs)


def test_kernels_are_transposed_value_by_value():
  encoder = _encoder()
  kernel = encoder.stem_conv.kernel.numpy()
  found = torchvision_names.state_dict(encoder)["conv1.weight"]
  assert found.shape == (4, 3, 3, 3) and found.flags.c_contiguous
  for place in np.ndindex(*found.shape):
    out, channel, row, column = place
    assert found[place] == kernel[row, column, channel, out]


@pytest.mark.parametrize(
  ("stack", "blocks", "stem"),
  [
    (resnet.basic_stack, (1, 2, 1, 1), "small"),
    (resnet.bottleneck_stack, (2, 1, 1, 2), "imagenet"),
  ],
)
def test_an_encoder_is_rebuilt_from_names_and_shapes(stack, blocks, stem):
  encoder = _encoder(stack, blocks, stem)
  state = torchvision_names.state_dict(encoder)
  back = torchvision_names.build(_stored(state), path="a.pth")
  assert type(back) is resnet.ResNet
  assert (back.stack, back.blocks, back.stem) == (stack, blocks, stem)
  for name, array in torchvision_names.state_dict(back).items():
    np.testing.assert_array_equal(array, state[name])
  images = np.float32(np.random.default_rng(1).normal(size=[2, 40, 32, 3]))
  np.testing.assert_array_equal(back(images), encoder(images, training=False))


def test_only_a_difference_makes_a_foreign_network():
  state = _stored(torchvision_names.state_dict(_encoder()))
  for difference, kind in (
    (None, resnet.ResNet),
    (foreign_resnet.Difference(), resnet.ResNet),
    (foreign_resnet.Difference(stem_relu=False), foreign_resnet.ForeignResNet),
  ):
    built = torchvision_names.build(state, path="a", difference=difference)
    assert type(built) is kind


def _resnext(state):
  width = state["layer1.0.conv2.weight"].shape[1]
  state["layer1.0.conv2.weight"] = np.ones([width, width // 4, 3, 3])


@pytest.mark.parametrize(
  ("change", "message"),
  [
    (lambda s: s.pop("layer1.1.bn1.bias"), "missing: layer1.1.bn1.bias"),
    (lambda s: s.update(more=np.ones(1)), "unknown: more"),
    (lambda s: s.update({"bn1.bias": np.ones(5)}), r"bn1.bias \[5\].* \[4\]"),
    (_resnext, r"layer1.0.conv2.weight \[4, 1, 3, 3\].*ResNeXt"),
    (
      lambda s: s.update({"bn1.bias": np.float32([1, np.inf, 1, 1])}),
      "bn1.bias.*not finite",
    ),
    (
      lambda s: s.update({"bn1.running_var": np.float32([1, -1, 1, 1])}),
      "bn1.running_var has negative variances",
    ),
    (
      lambda s: [s.pop(n) for n in list(s) if n.startswith("layer3")],
      r"\[2, 1, 0, 1\]",
    ),
    (lambda s: s.update({"conv1.weight": np.ones([4, 1, 3, 3])}), "4, 1, 3, 3"),
    (lambda s: s.pop("conv1.weight"), r"shape \[\]"),
  ],
)
def test_weights_of_another_network_are_refused_by_name(change, message):
  encoder = _encoder(resnet.bottleneck_stack, (2, 1, 1, 1))
  state = torchvision_names.state_dict(encoder)
  change(state)
  with pytest.raises(errors.UsageError, match=message) as failed:
    torchvision_names.build(_stored(state), path="there/a.pth")
  assert "there/a.pth" in str(failed.value)


def test_a_long_list_of_names_ends_with_the_number_of_the_others():
  assert torchvision_names.listed(["a", "b"]) == "a, b"
  assert torchvision_names.listed(str(i) for i in range(12)).endswith(", 11")
  assert torchvision_names.listed(map(str, range(15))).endswith(
    ", 11 and 3 more"
  )


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
