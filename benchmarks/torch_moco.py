"""MoCo's train step in PyTorch (channels last), for `benchmarks.train_step`.

It runs in its own process, so that settings of our training (heap of the C
library, threads) do not affect it. For each line on standard input it runs one
step and prints its duration in seconds.
"""

import argparse
import copy
import sys
import time

import torch
from torch import nn


class Bottleneck(nn.Module):
  """Residual block of ResNet-50, with the stride in the 3x3 convolution."""

  def __init__(self, inputs: int, width: int, stride: int):
    super().__init__()
    outputs = 4 * width
    self.stack = nn.Sequential(
      nn.Conv2d(inputs, width, 1, bias=False),
      nn.BatchNorm2d(width),
      nn.ReLU(inplace=True),
      nn.Conv2d(width, width, 3, stride, 1, bias=False),
      nn.BatchNorm2d(width),
      nn.ReLU(inplace=True),
      nn.Conv2d(width, outputs, 1, bias=False),
      nn.BatchNorm2d(outputs),
    )
    self.shortcut = nn.Identity()
    if stride > 1 or inputs != outputs:
      self.shortcut = nn.Sequential(
        nn.Conv2d(inputs, outputs, 1, stride, bias=False),
        nn.BatchNorm2d(outputs),
      )

  def forward(self, x):
    """[B, C, H, W] -> [B, 4 * width, H / stride, W / stride]."""
    return torch.relu(self.stack(x) + self.shortcut(x))


def resnet50_with_head() -> nn.Module:
  """ResNet-50 with MoCo v2's head: [B, 3, H, W] -> [B, 128]."""
  layers = [
    nn.Conv2d(3, 64, 7, 2, 3, bias=False),
    nn.BatchNorm2d(64),
    nn.ReLU(inplace=True),
    nn.MaxPool2d(3, 2, 1),
  ]
  inputs = 64
  for stage, count in enumerate((3, 4, 6, 3)):
    width = 64 * 2**stage
    for block in range(count):
      stride = 2 if stage and not block else 1
      layers.append(Bottleneck(inputs, width, stride))
      inputs = 4 * width
  layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
  layers += [nn.Linear(2048, 2048), nn.ReLU(inplace=True), nn.Linear(2048, 128)]
  return nn.Sequential(*layers)


def step(batch: int, size: int, queue_size: int, *, bfloat16: bool):
  """Function that runs a MoCo step on noise and returns its loss."""
  last = torch.channels_last
  query = resnet50_with_head().to(memory_format=last)
  key = copy.deepcopy(query)
  for parameter in key.parameters():
    parameter.requires_grad = False
  queue = nn.functional.normalize(torch.randn(128, queue_size), dim=0)
  views = [
    torch.randn(batch, 3, size, size).to(memory_format=last) for _ in range(2)
  ]
  optimizer = torch.optim.SGD(
    query.parameters(), 0.03, momentum=0.9, weight_decay=1e-4
  )
  labels = torch.zeros(batch, dtype=torch.long)
  head = 0

  def take():
    nonlocal head
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bfloat16):
      with torch.no_grad():
        for mine, other in zip(
          key.parameters(), query.parameters(), strict=True
        ):
          mine.mul_(0.999).add_(other, alpha=0.001)
        keys = nn.functional.normalize(key(views[1]).float(), dim=1)
      queries = nn.functional.normalize(query(views[0]).float(), dim=1)
    positive = (queries * keys).sum(dim=1, keepdim=True)
    logits = torch.cat([positive, queries @ queue.clone()], dim=1) / 0.2
    loss = nn.functional.cross_entropy(logits, labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    queue[:, head : head + batch] = keys.T
    head = (head + batch) % queue_size
    return loss.item()

  return take


if __name__ == "__main__":
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--batch", type=int, required=True)
  parser.add_argument("--size", type=int, required=True)
  parser.add_argument("--queue", type=int, required=True)
  parser.add_argument("--bfloat16", action="store_true")
  args = parser.parse_args()
  one = step(args.batch, args.size, args.queue, bfloat16=args.bfloat16)
  for _ in sys.stdin:
    began = time.perf_counter()
    one()
    print(time.perf_counter() - began, flush=True)
