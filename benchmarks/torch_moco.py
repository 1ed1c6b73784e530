"""MoCo's step in PyTorch, as a peer to measure against (channels last).

Runs in a process of its own, as its users run it: what our training sets for
the process (the C library's heap, threads) is not lent to it. Answers each line
on standard input with the seconds that one step took.
"""

import argparse
import copy
import sys
import time

import torch
from torch import nn


class Bottleneck(nn.Module):
  """ResNet-50's block, stride on the 3x3 convolution."""

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
    """[B, C, H, W] -> the block's output."""
    return torch.relu(self.stack(x) + self.shortcut(x))


def resnet50_with_head() -> nn.Module:
  """Images to embeddings of 128 numbers, MoCo v2's head."""
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
  """A function that takes one MoCo step on noise and returns its loss."""
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
