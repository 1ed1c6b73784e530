"""A plain PyTorch ResNet with torchvision's names, and states of it."""

import argparse
import collections
import functools

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch to compare with")
nn = torch.nn


class _Block(nn.Module):
  def __init__(self, channels, width, stride, bottleneck):
    super().__init__()
    sizes = (
      [(1, 1), (3, stride), (1, 1)]
      if bottleneck
      else [
        (3, stride),
        (3, 1),
      ]
    )
    out = width * (4 if bottleneck else 1)
    for i, (size, step) in enumerate(sizes, 1):
      to = out if i == len(sizes) else width
      before = channels if i == 1 else width
      conv = nn.Conv2d(before, to, size, step, size // 2, bias=False)
      setattr(self, f"conv{i}", conv)
      setattr(self, f"bn{i}", nn.BatchNorm2d(to))
    self.count = len(sizes)
    self.downsample = None
    if stride > 1 or channels != out:
      self.downsample = nn.Sequential(
        nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out)
      )

  def forward(self, x):
    y = x
    for i in range(1, self.count + 1):
      y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y))
      y = torch.relu(y) if i < self.count else y
    return torch.relu(
      y + (x if self.downsample is None else self.downsample(x))
    )


class ResNet(nn.Module):
  """[B, 3, H, W] -> [B, D]; children in torchvision's order."""

  def __init__(
    self,
    blocks=(1, 1, 1, 1),
    *,
    width=4,
    bottleneck=False,
    stem="imagenet",
    stem_padding=1,
  ):
    super().__init__()
    if stem == "imagenet":
      self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
    else:
      self.conv1 = nn.Conv2d(3, width, 3, 1, stem_padding, bias=False)
    self.bn1 = nn.BatchNorm2d(width)
    self.relu = nn.ReLU()
    pool = nn.MaxPool2d(3, 2, 1) if stem == "imagenet" else nn.Identity()
    self.maxpool = pool
    channels = width
    for stage, count in enumerate(blocks, 1):
      layers = []
      for number in range(count):
        stride = 2 if stage > 1 and number == 0 else 1
        w = width * 2 ** (stage - 1)
        layers.append(_Block(channels, w, stride, bottleneck))
        channels = w * (4 if bottleneck else 1)
      setattr(self, f"layer{stage}", nn.Sequential(*layers))
    self.fc = nn.Linear(channels, 3)

  def forward(self, x):
    for name, layer in self.named_children():
      x = x if name == "fc" else layer(x)
    return x.mean(dim=(2, 3))


def trained(model, images, seed=0):
  """Random scales and shifts, statistics of these images; then inference."""
  torch.manual_seed(seed)
  for layer in model.modules():
    if isinstance(layer, nn.BatchNorm2d):
      nn.init.uniform_(layer.weight, 0.5, 1.5)
      nn.init.uniform_(layer.bias, -0.5, 0.5)
      layer.momentum = None  # the mean over all batches
  model.train()
  with torch.no_grad():
    model(normalized(images))
  return model.eval()


def normalized(images):
  """uint8 [B, H, W, 3] -> what torchvision's models take."""
  mean, std = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])
  values = ((images / 255.0 - mean) / std).astype(np.float32)
  return torch.from_numpy(values.transpose(0, 3, 1, 2).copy())


def features(model, images):
  with torch.no_grad():
    return model(normalized(images)).numpy()


def random_images(count=2, height=33, width=40):
  rng = np.random.default_rng(5)
  return rng.integers(0, 256, [count, height, width, 3], np.uint8)


def checkpoint(layout, model):
  """What the project of this name saves, with what it saves beside it."""
  state = model.state_dict()
  body = {k: v for k, v in state.items() if not k.startswith("fc.")}
  changed = {k: v + 1 for k, v in body.items()}  # of an encoder not meant
  head = torch.ones(2, 2)

  def prefixed(prefix, names=body):
    return {prefix + name: value for name, value in names.items()}

  children = [name for name, _ in model.named_children()]

  def numbered(prefix, order=tuple(children)):
    result = {}
    for name, value in body.items():
      first, rest = name.split(".", 1)
      result[f"{prefix}{order.index(first)}.{rest}"] = value
    return result

  optimizer = {"state": {0: {"momentum_buffer": head}}, "param_groups": []}
  if layout == "torchvision":
    return state
  if layout == "MoCo":
    names = prefixed("module.encoder_q.") | prefixed("module.encoder_k.")
    names["module.encoder_q.fc.0.weight"] = head
    names["module.encoder_q.fc.2.bias"] = head
    names |= {"module.queue": head, "module.queue_ptr": torch.zeros(1)}
    return {
      "epoch": 200,
      "arch": "resnet50",
      "state_dict": names,
      "optimizer": optimizer,
    }
  if layout == "MoCo notebook":
    order = ("conv1", "bn1", "relu", "layer1", "layer2", "layer3", "layer4")
    names = numbered("encoder_q.net.", order)
    return {"state_dict": names | numbered("encoder_k.net.", order)}
  if layout == "VISSL":
    model = {
      "trunk": prefixed("_feature_blocks."),
      "heads": {"0.clf.0.weight": head},
    }
    return {
      "phase_idx": 1,
      "classy_state_dict": {
        "base_model": {"model": model, "meta": {}},
        "optimizer": {"optim": optimizer},
        "losses": [0.5],
        "loss": {"memory": head},
      },
    }
  if layout == "lightly":
    names = numbered("backbone.") | numbered("backbone_momentum.")
    names["projection_head.layers.0.weight"] = head
    return {"state_dict": names, "optimizer_states": [optimizer]}
  if layout == "lightly MoCo":  # benchmarks/imagenet/resnet50/mocov2.py
    names = prefixed("backbone.") | prefixed("key_backbone.")
    for name in ("projection_head", "key_projection_head"):
      names[f"{name}.layers.0.weight"] = head
    names["criterion.memory_bank.bank"] = head
    names["online_classifier.linear.weight"] = head
    return {"state_dict": names, "optimizer_states": [optimizer]}
  if layout == "lightly DINO":  # benchmarks/imagenet/resnet50/dino.py
    names = prefixed("student_backbone.", changed) | prefixed("backbone.")
    for name in ("student_projection_head", "projection_head"):
      names[f"{name}.last_layer.weight"] = head
    names["criterion.center"] = head
    return {"state_dict": names}
  if layout == "lightly student":  # its example of DINO
    names = prefixed("student_backbone.")
    names |= prefixed("teacher_backbone.", changed)
    for name in ("student_head", "teacher_head"):
      names[f"{name}.last_layer.weight"] = head
    return {"state_dict": names}
  if layout == "lightly's own ResNet":
    order = ("conv1", "bn1", "layer1", "layer2", "layer3", "layer4")
    names = numbered("backbone.", order)
    return {
      "state_dict": {
        k.replace("downsample", "shortcut"): v for k, v in names.items()
      }
    }
  if layout == "solo-learn":
    names = prefixed("backbone.") | prefixed("momentum_backbone.")
    names |= {"classifier.weight": head, "projector.0.weight": head}
    return {"state_dict": names, "hyper_parameters": {"lr": 0.1}}
  if layout == "torch.compile":
    return prefixed("_orig_mod.")
  if layout == "torch.compile in DDP":
    return {"epoch": 3, "model": prefixed("module._orig_mod.")}
  if layout == "DDP in torch.compile":
    return {"model": prefixed("_orig_mod.module.")}
  if layout == "torch.compile in Lightning":
    return {"state_dict": prefixed("model._orig_mod.")}
  if layout == "DINO":
    student = prefixed("module.backbone.", changed)
    student["module.head.last_layer.weight_g"] = head
    teacher = prefixed("backbone.") | {"head.mlp.0.weight": head}
    return {
      "student": student,
      "teacher": teacher,
      "optimizer": optimizer,
      "args": argparse.Namespace(arch="resnet50"),
      "dino_loss": {"center": head},
    }
  if layout == "Barlow Twins":
    names = prefixed("module.backbone.")
    names |= {"module.projector.0.weight": head, "module.bn.bias": head}
    return {"epoch": 3, "model": names, "optimizer": optimizer}
  if layout == "SupContrast":  # It names its shortcuts so.
    names = {
      name.replace("downsample", "shortcut"): value
      for name, value in prefixed("encoder.module.").items()
    }
    names["head.0.weight"] = head
    return {"opt": argparse.Namespace(lr=0.1), "model": names}
  if layout == "OpenSelfSup MoCo":
    names = prefixed("backbone.") | prefixed("encoder_q.0.")
    names |= prefixed("encoder_k.0.", changed)
    names |= {"neck.mlp.0.weight": head, "encoder_q.1.mlp.0.weight": head}
    return {"meta": {"time": "x"}, "state_dict": names | {"queue": head}}
  if layout == "mmselfsup MoCo":
    names = prefixed("backbone.") | prefixed("encoder_k.0.", changed)
    names |= {"neck.mlp.0.weight": head, "queue": head}
    return {"meta": {}, "state_dict": names}
  if layout == "mmengine":
    names = prefixed("backbone.") | {"data_preprocessor.mean": head}
    return {
      "meta": {"cfg": functools.partial(max, 1)},
      "message_hub": {"log": collections.deque([np.ones(2)])},
      "state_dict": names,
      "ema_state_dict": prefixed("module.backbone.", changed),
    }
  if layout == "BYOL (lucidrains)":
    names = prefixed("online_encoder.net.", changed)
    names |= prefixed("target_encoder.net.") | prefixed("net.", changed)
    return names | {"online_predictor.net.0.weight": head}
  if layout == "BYOL (sthalles)":
    online = numbered("encoder.") | {"projetion.net.0.weight": head}
    return {
      "online_network_state_dict": {k: v + 1 for k, v in online.items()},
      "target_network_state_dict": online,
      "optimizer_state_dict": optimizer,
    }
  if layout == "own project":
    return {"any": [0, {"deep": {"net_a": prefixed("body.")}}], "b": {0: head}}
  raise ValueError(layout)
