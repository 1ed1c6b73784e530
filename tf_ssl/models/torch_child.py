"""Runs a PyTorch model in a process of its own.

A program that imports nothing of tf_ssl, because its Python may be another one:
python torch_child.py KIND PATH WEIGHTS LAYER. Both of its pipes carry messages:
a line of JSON, then as many bytes as its "bytes" says.

The first answer describes the model. Then each message {"do": "features",
"output" or "moments", "shape": [B, 3, H, W]} has float32 images, preprocessed;
the answer has an array of the output of the layer or of the model, or the
moments of the inputs of the first batch-norm layers, as JSON. An answer with
"error" says in one line what failed.

Nothing is downloaded. Weights are read without pickle's code. TorchScript and
torch.export files are programs, and run.
"""

import hashlib
import json
import os
import sys

_NUM_NORMS = 1  # As batch_norms.NUM_LAYERS.
_TOKENS = ("class_token", "patch_mean", "class_and_patch_mean")


class Problem(Exception):
  """What is wrong with the user's input, in one line."""


class Eager:
  """A torch.nn.Module whose layers are its submodules."""

  def __init__(self, module, *, before=None, tokens=None):
    """Wraps a module.

    Args:
      module: the network.
      before: layer that is read by default: "output", or the name of the
        submodule whose input is the features.
      tokens: name of the submodule whose output is tokens [B, T, C], and the
        number of tokens before those of patches; None without tokens.
    """
    self.module = module
    self.before = before
    self.tokens = tokens
    self.modules = {name: part for name, part in module.named_modules() if name}

  def choose(self, layer):
    """Returns the name of the layer and the reason for it."""
    if layer in self.modules or layer == "output":
      self.layer = layer
      return layer, "by `layer`"
    if layer in _TOKENS:
      if self.tokens is None:
        raise Problem(
          f"it has no tokens, so no layer {layer!r}; change `layer`"
        )
      self.layer = layer
      return layer, "by `layer`"
    if layer:
      names = list(self.modules)
      choices = ", ".join(
        [*names[-12:], "output", *(_TOKENS if self.tokens else ())]
      )
      raise Problem(
        f"it has no layer {layer!r}; expected one of {choices} (the last of "
        f"{len(names)} modules); change `layer`"
      )
    if self.tokens is not None and not self.tokens[0]:
      self.layer = _TOKENS[0] if self.tokens[1] else _TOKENS[1]
      return self.layer, "the model gives tokens"
    self.layer = None
    if self.before is not None and self.before != "output":
      return f"input of {self.before}", "before the last linear layer"
    return "output", "the model ends without a classifier"

  def features(self, images):
    """Returns the output of the layer."""
    kept = {}

    def keep_output(module, given, output):
      kept["value"] = output

    def keep_input(module, given):
      kept["value"] = given[0]

    if self.layer in (None, "output") and self.before in (None, "output"):
      return _tensor(self.module(images))
    if self.layer == "output":
      return _tensor(self.module(images))
    if self.layer is None:
      hook = self.modules[self.before].register_forward_pre_hook(keep_input)
    else:
      name = self.tokens[0] if self.layer in _TOKENS else self.layer
      part = self.modules[name] if name else self.module
      hook = part.register_forward_hook(keep_output)
    try:
      self.module(images)
    finally:
      hook.remove()
    if "value" not in kept:
      raise Problem(f"the layer {self.layer!r} is never called; change `layer`")
    value = _tensor(kept["value"])
    if self.layer in _TOKENS:
      return _of_tokens(value, self.tokens[1], self.layer)
    return value

  def norms(self):
    """Returns the averages of batch-norm layers, by module."""
    return {
      part: (part.running_mean, part.running_var)
      for part in self.modules.values()
      if getattr(part, "running_mean", None) is not None
    }

  def norm_inputs(self, images):
    """Yields averages and inputs of the first batch-norm layers that run."""
    found = []
    averages = self.norms()

    class Enough(Exception):
      pass

    def keep(module, given):
      found.append((*averages[module], given[0]))
      if len(found) == _NUM_NORMS:
        raise Enough

    hooks = [part.register_forward_pre_hook(keep) for part in averages]
    try:
      self.module(images)
    except Enough:
      pass
    finally:
      for hook in hooks:
        hook.remove()
    return found

  def state(self):
    """Returns the weights by name."""
    return self.module.state_dict()


class Scripted:
  """A TorchScript file; layers are values of its graph."""

  def __init__(self, module):
    import torch

    self.torch = torch
    self.module = module
    self._features = None

  def _graph(self):
    graph = self.module.forward.graph.copy()
    self.torch._C._jit_pass_inline(graph)
    return graph

  def choose(self, layer):
    """Returns the name of the layer and the reason for it."""
    graph = self._graph()
    if layer == "output":
      return layer, "by `layer`"
    values = {
      value.debugName(): value
      for node in graph.nodes()
      for value in node.outputs()
      if value.type().kind() == "TensorType"
    }
    if layer:
      if layer not in values:
        raise Problem(
          f"it has no value {layer!r}; expected output, or one of "
          f"{', '.join(list(values)[-12:])} (the last of {len(values)}); "
          "change `layer`"
        )
      chosen = layer, "by `layer`"
      value = values[layer]
    else:
      value = _before_classifier(graph)
      if value is None:
        return "output", "the model ends without a classifier"
      chosen = value.debugName(), "before the last linear layer"
    self._features = self._function(graph, [value])
    return chosen

  def _function(self, graph, values):
    """Compiles a graph whose output is a list of some of its values."""
    for _ in list(graph.outputs()):
      graph.eraseOutput(0)
    both = graph.create("prim::ListConstruct", values, 1)
    both.output().setType(self.torch._C.ListType.ofTensors())
    graph.registerOutput(graph.appendNode(both).output())
    self.torch._C._jit_pass_dce(graph)
    return self.torch._C._create_function_from_graph("values", graph)

  def features(self, images):
    """Returns the output of the layer."""
    if self._features is None:
      return _tensor(self.module(images))
    return self._features(self.module._c, images)[0]

  def norm_inputs(self, images):
    """Yields averages and inputs of the first batch-norm layers."""
    graph = self._graph()
    nodes = [
      node for node in graph.nodes() if node.kind() == "aten::batch_norm"
    ]
    found = []
    for node in nodes[:_NUM_NORMS]:
      given = list(node.inputs())
      found += [given[3], given[4], given[0]]
    if not found:
      return []
    values = self._function(graph, found)(self.module._c, images)
    return [tuple(values[i : i + 3]) for i in range(0, len(found), 3)]

  def state(self):
    """Returns the weights by name."""
    return self.module.state_dict()


def _before_classifier(graph):
  """The input of the linear layer at a graph's end; None without one."""
  passed = (
    "aten::softmax",
    "aten::log_softmax",
    "aten::dropout",
    "aten::sigmoid",
    "aten::flatten",
  )
  [value] = list(graph.outputs())
  for _ in range(8):
    node = value.node()
    if node.kind() in ("aten::linear", "aten::addmm"):
      return list(node.inputs())[0 if node.kind() == "aten::linear" else 1]
    if node.kind() not in passed:
      return None
    value = list(node.inputs())[0]
  return None


class Exported:
  """A file of torch.export; layers are the nodes of its graph."""

  def __init__(self, program):
    import torch

    self.torch = torch
    self.program = program
    self.module = program.module()
    self.nodes = {node.name: node for node in self.module.graph.nodes}
    self.layer = None

  def shape(self):
    """Returns the shape of the images; None for a size that varies."""
    for node in self.module.graph.nodes:
      if node.op == "placeholder" and "val" in node.meta:
        sizes = node.meta["val"].shape
        return [size if isinstance(size, int) else None for size in sizes]
    return None

  def choose(self, layer):
    """Returns the name of the layer and the reason for it."""
    if layer == "output":
      return layer, "by `layer`"
    if layer:
      names = [
        n for n, node in self.nodes.items() if node.op == "call_function"
      ]
      if layer not in names:
        raise Problem(
          f"it has no node {layer!r}; expected output, or one of "
          f"{', '.join(names[-12:])} (the last of {len(names)}); change `layer`"
        )
      self.layer = self.nodes[layer]
      return layer, "by `layer`"
    passed = ("softmax", "log_softmax", "dropout", "sigmoid", "flatten", "view")
    [output] = [n for n in self.nodes.values() if n.op == "output"]
    node = output.args[0]
    while isinstance(node, (tuple, list)) and len(node) == 1:
      node = node[0]
    while hasattr(node, "target"):
      kind = str(node.target).split(".")
      kind = kind[1] if kind[0] == "aten" else ""
      if kind == "linear":
        self.layer = node.args[0]
        return self.layer.name, "before the last linear layer"
      if kind not in passed:
        break
      node = node.args[0]
    return "output", "the model ends without a classifier"

  def _run(self, images, wanted):
    """Runs the graph until the values of all wanted nodes are known."""
    values = {}

    class Enough(Exception):
      pass

    class Keeping(self.torch.fx.Interpreter):
      def run_node(self, node):
        value = super().run_node(node)
        if node in wanted:
          values[node] = value
          if len(values) == len(wanted):
            raise Enough
        return value

    try:
      Keeping(self.module).run(images)
    except Enough:
      pass
    return values

  def features(self, images):
    """Returns the output of the layer."""
    if self.layer is None:
      return _tensor(self.module(images))
    return self._run(images, {self.layer})[self.layer]

  def norm_inputs(self, images):
    """Yields averages and inputs of the first batch-norm layers."""
    places = []
    for node in self.module.graph.nodes:
      if str(node.target).startswith("aten.batch_norm."):
        places.append((node.args[3], node.args[4], node.args[0]))
      elif "_native_batch_norm_legit_no_training" in str(node.target):
        places.append((node.args[3], node.args[4], node.args[0]))
    places = places[:_NUM_NORMS]
    values = self._run(images, {node for place in places for node in place})
    return [tuple(values[node] for node in place) for place in places]

  def state(self):
    """Returns the weights by name."""
    return {**self.program.state_dict, **self.program.constants}


def _tensor(output):
  """The tensor in a model's output: itself, or a likely one of several."""
  import torch

  if isinstance(output, torch.Tensor):
    return output
  if isinstance(output, dict) or hasattr(output, "keys"):
    values = {key: output[key] for key in output.keys()}
    for key in (
      "pooler_output",
      "features",
      "last_hidden_state",
      "logits",
      "out",
    ):
      if isinstance(values.get(key), torch.Tensor):
        return values[key]
    output = list(values.values())
  if isinstance(output, (tuple, list)):
    for value in output:
      if isinstance(value, torch.Tensor):
        return value
  raise Problem(f"its output is {type(output).__name__}; expected a tensor")


def _of_tokens(tokens, num_prefix, layer):
  """Tokens [B, T, C] -> [B, C], or [B, 2C] for both."""
  import torch

  if layer != "patch_mean" and not num_prefix:
    raise Problem("it has no class token; set `layer` to patch_mean")
  mean = tokens[:, num_prefix:].mean(1)
  if layer == "patch_mean":
    return mean
  first = tokens[:, 0]
  return first if layer == "class_token" else torch.cat([first, mean], 1)


def load(kind, path, weights):
  """Loads a model; returns it, and what is known about its images."""
  import torch

  torch.set_grad_enabled(False)
  facts = {}
  if kind == "torchscript":
    return Scripted(torch.jit.load(path, map_location="cpu").eval()), facts
  if kind == "torch_export":
    model = Exported(torch.export.load(path))
    facts["shape"] = model.shape()
    return model, facts
  return {"torchvision": _torchvision, "timm": _timm, "hf": _hf}[kind](
    path, weights, facts
  )


def _torchvision(name, weights, facts):
  import torch
  import torchvision

  try:
    module = torchvision.models.get_model(name, weights=None)
  except ValueError as error:
    raise Problem(f"torchvision has no model {name!r}") from error
  known = None
  if not weights:
    known = torchvision.models.get_model_weights(name).DEFAULT
    folder = os.path.join(torch.hub.get_dir(), "checkpoints")
    weights = os.path.join(folder, os.path.basename(known.url))
    if not os.path.exists(weights):
      raise Problem(
        f"its weights are not in {weights}, and nothing is downloaded; give "
        f"torchvision:{name}:FILE.pth, or torchvision:{name}:random"
      )
  if weights != "random":
    _restore(module, weights)
    if known is not None:
      used = known.transforms()
      facts.update(
        mean=list(used.mean), std=list(used.std), source="torchvision"
      )
  size = getattr(module, "image_size", None)
  if isinstance(size, int):
    facts["size"] = [size, size]
  module.eval()
  linear = [
    n for n, m in module.named_modules() if isinstance(m, torch.nn.Linear)
  ]
  tokens = ("encoder", 1) if hasattr(module, "class_token") else None
  return Eager(
    module, before=linear[-1] if linear else None, tokens=tokens
  ), facts


def _timm(name, weights, facts):
  import timm

  if not timm.is_model(name.partition(".")[0]):
    raise Problem(f"timm has no model {name!r}")
  try:
    module = timm.create_model(name, pretrained=not weights, num_classes=0)
  except Exception as error:
    if weights:
      raise
    raise Problem(
      f"its weights are not in the local cache, and nothing is downloaded "
      f"({_one_line(error)}); give timm:{name}:FILE, or timm:{name}:random"
    ) from error
  if weights and weights != "random":
    _restore(module, weights, classifier=True)
  used = getattr(module, "pretrained_cfg", None) or {}
  if weights != "random" and used.get("mean"):
    facts.update(
      mean=list(used["mean"]), std=list(used["std"]), source="timm's config"
    )
  embed = getattr(module, "patch_embed", None)
  size = getattr(embed, "img_size", None)
  if size is not None:
    facts["size"] = list(size)
  module.eval()
  tokens = None
  if hasattr(module, "num_prefix_tokens") and hasattr(module, "norm"):
    tokens = ("norm", module.num_prefix_tokens)
  return Eager(module, before="output", tokens=tokens), facts


def _hf(folder, weights, facts):
  import transformers

  if weights:
    raise Problem("expected hf:DIR, a folder with config.json and weights")
  module = transformers.AutoModel.from_pretrained(
    folder, local_files_only=True, trust_remote_code=False
  )
  module = getattr(module, "vision_model", module)
  file = os.path.join(folder, "preprocessor_config.json")
  if os.path.exists(file):
    with open(file, encoding="utf-8") as stream:
      used = json.load(stream)
    if used.get("do_normalize", True) and used.get("image_mean"):
      facts.update(
        mean=used["image_mean"],
        std=used["image_std"],
        source="preprocessor_config.json",
      )
  config = module.config
  size = getattr(config, "image_size", None)
  if size is not None and getattr(config, "patch_size", None) is not None:
    facts["size"] = [size, size] if isinstance(size, int) else list(size)
  module.eval()
  registers = getattr(config, "num_register_tokens", 0) or 0
  has_class = any(
    "cls_token" in n or "class_embedding" in n for n in module.state_dict()
  )
  tokens = ("", registers + has_class)
  if getattr(config, "patch_size", None) is None:
    tokens = None
  model = Eager(_HiddenState(module), before="output", tokens=tokens)
  model.modules = {n: part for n, part in module.named_modules() if n}
  return model, facts


def _HiddenState(module):
  """A module whose output is the last hidden state, or a pooled one."""
  import torch

  class HiddenState(torch.nn.Module):
    def __init__(self):
      super().__init__()
      self.inner = module

    def forward(self, images):
      output = self.inner(pixel_values=images)
      hidden = output["last_hidden_state"]
      if hidden.dim() == 3:
        return hidden
      pooled = output.get("pooler_output")
      return hidden if pooled is None else pooled.flatten(1)

  return HiddenState()


def _restore(module, path, classifier=False):
  """Loads weights; those of a classifier may be missing or left over."""
  import torch

  if path.endswith(".safetensors"):
    from safetensors.torch import load_file

    state = load_file(path)
  else:
    state = torch.load(path, map_location="cpu", weights_only=True)
  for key in ("state_dict", "model"):
    if isinstance(state, dict) and isinstance(state.get(key), dict):
      state = state[key]
  if not isinstance(state, dict):
    raise Problem(
      f"{path} has a {type(state).__name__}; expected weights by name"
    )
  state = {
    key[7:] if key.startswith("module.") else key: v for key, v in state.items()
  }
  found = module.load_state_dict(state, strict=False)
  missing, extra = found.missing_keys, found.unexpected_keys
  last = ("head.", "fc.", "classifier.", "heads.")
  if classifier:
    extra = [key for key in extra if not key.startswith(last)]
  if missing or extra:
    raise Problem(
      f"{path} lacks {len(missing)} weights ({', '.join(missing[:2])}) and has "
      f"{len(extra)} others ({', '.join(extra[:2])}); give weights of this "
      "network"
    )


def digest(state):
  """SHA-256 of weights by name."""
  import torch

  sha256 = hashlib.sha256()
  for name in sorted(state):
    value = state[name]
    if isinstance(value, torch.Tensor):
      value = value.detach().cpu().contiguous()
      sha256.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
      sha256.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
  return sha256.hexdigest()


def not_numbers(state):
  """Name of the first weights with NaN; None without any."""
  import torch

  for name, value in state.items():
    if isinstance(value, torch.Tensor) and value.is_floating_point():
      if torch.isnan(value).any():
        return name
  return None


def _moments(model, images):
  found = []
  for mean, variance, given in model.norm_inputs(images):
    axes = [axis for axis in range(given.dim()) if axis != 1]
    given = given.double()
    found.append(
      [
        mean.double().tolist(),
        variance.double().tolist(),
        given.mean(axes).tolist(),
        given.var(axes, unbiased=False).tolist(),
      ]
    )
  return found


def _one_line(error):
  text = " ".join(str(error).split()) or type(error).__name__
  return text if len(text) <= 300 else f"{text[:150]} ... {text[-150:]}"


def _send(stream, message, data=b""):
  message["bytes"] = len(data)
  stream.write(json.dumps(message).encode() + b"\n")
  stream.write(data)
  stream.flush()


def serve(arguments, requests, answers):
  """Loads the model and answers until the requests end."""
  try:
    import torch
  except ImportError as error:
    _send(answers, {"missing": _one_line(error)})
    return
  try:
    kind, path, weights, layer = arguments
    model, facts = load(kind, path, weights)
    state = model.state()
    name, chosen = model.choose(layer)
    bad = not_numbers(state)
    if bad:
      raise Problem(f"the weights {bad} have NaN: its training has diverged")
    described = {"layer": name, "chosen": chosen, "digest": digest(state)}
    _send(answers, {**described, **facts})
  except ImportError as error:
    _send(answers, {"missing": _one_line(error)})
    return
  except Exception as error:
    _send(answers, {"error": _one_line(error)})
    return
  for line in requests:
    request = json.loads(line)
    data = bytearray(request["bytes"])
    view, done = memoryview(data), 0
    while done < len(data):
      done += requests.readinto(view[done:])
    images = torch.frombuffer(data, dtype=torch.float32).reshape(
      request["shape"]
    )
    try:
      if request["do"] == "moments":
        _send(answers, {"moments": _moments(model, images)})
        continue
      if request["do"] == "output":
        output = _tensor(model.module(images))
      else:
        output = model.features(images)
      output = output.float().contiguous()
      _send(answers, {"shape": list(output.shape)}, output.numpy().tobytes())
    except Exception as error:
      _send(answers, {"error": _one_line(error)})


def main():
  """Serves on the pipes that were stdin and stdout."""
  answers = os.fdopen(os.dup(1), "wb")
  os.dup2(2, 1)  # What libraries print must not mix with answers.
  serve(sys.argv[1:], sys.stdin.buffer, answers)


if __name__ == "__main__":
  main()
