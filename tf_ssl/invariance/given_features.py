"""Features that another program has computed, in place of a model."""

import os
import zipfile
from collections.abc import Sequence

import numpy as np

from tf_ssl import errors
from tf_ssl.datasets import records as records_lib
from tf_ssl.features import store
from tf_ssl.invariance import written_sets
from tf_ssl.models import image_model, reader
from tf_ssl.models import load as load_lib

_FORM = (
  "the arrays names [N], such as viewpoint/000000.png, and features [N, D]"
)


class GivenFeatures:
  """Features of the images that `written_sets.write` writes.

  Attributes:
    name: name of their model.
    description: facts for reports.
  """

  def __init__(self, spec: str):
    """Reads an archive.

    Args:
      spec: "NAME=FILE.npz" or "FILE.npz". The file has two arrays: `names` [N],
        the images' paths, of which the last folder and the file's name count;
        and `features` [N, D], or one array of another name with two axes, as
        `tools.extract_features` writes.

    Raises:
      UsageError: the file is missing or has other arrays, a name is there
        twice, or features are not finite.
    """
    self.name, path = load_lib.split(spec)
    self.name = self.name.removesuffix(".npz")
    arrays = _read(path)
    paths = arrays.pop("names", None)
    tables = {k: v for k, v in arrays.items() if v.ndim == 2 and k != "boxes"}
    errors.require(
      paths is not None and len(tables) == 1,
      f"{path} has the arrays {', '.join(arrays) or 'none'}"
      f"{'' if paths is None else ', names'}; expected {_FORM}",
    )
    [(layer, table)] = tables.items()
    errors.require(
      paths.ndim == 1
      and len(paths) == len(table)
      and table.dtype.kind == "f"
      and paths.dtype.kind == "U",
      f"{path} has names {paths.dtype}{paths.shape} and features {table.dtype}"
      f"{table.shape}; expected {_FORM}",
    )
    bad = np.flatnonzero(~np.isfinite(table).all(axis=1))
    errors.require(
      not len(bad),
      f"{path}: features of {len(bad)} images are NaN or infinite, such as "
      f"{paths[bad[0]] if len(bad) else ''}; compute them again",
    )
    self._path, self._table = path, table
    self._rows: dict[str, dict[str, int]] = {}
    for row, name in enumerate(paths.tolist()):
      folder, _, file = name.replace(os.sep, "/").rpartition("/")
      rows = self._rows.setdefault(folder.rpartition("/")[2], {})
      errors.require(
        file not in rows, f"{path} has {name} twice; expected once"
      )
      rows[file] = row
    self.description = image_model.Description(
      name=self.name,
      kind="features from elsewhere",
      path=path,
      layer=layer,
      layer_chosen="the array in the file",
      preprocessing="unknown",
      preprocessing_chosen="by the program that computed them",
      preprocessing_check="",
      image_size=None,
      batch_size=None,
      width=table.shape[1],
      note="",
      digest=reader.path_digest(path),
    )

  def has(self, folder: str) -> bool:
    """Whether there are features of a folder's images."""
    return folder in self._rows

  def of_images(self, folder: str, index: np.ndarray, count: int) -> np.ndarray:
    """Features of images of a list of sets.

    Args:
      folder: folder of the list, see `written_sets.prefix`.
      index: [M] numbers of images.
      count: number of images in the list, N.

    Returns:
      [M, D] float32.

    Raises:
      UsageError: features are missing, or those of other images are there.
    """
    rows = self._rows.get(folder, {})
    names = [written_sets.image_name(folder, i) for i in index.tolist()]
    missing = [name for name in names if name.rpartition("/")[2] not in rows]
    errors.require(
      not missing and len(rows) <= count,
      f"{self._path} has features of {len(rows)} images in {folder}/, and the "
      f"sets have {count} images; missing are {len(missing)}"
      f"{f', such as {missing[0]}' if missing else ''}; compute the features of"
      " all images that tools.write_sets writes with the same config",
    )
    found = [rows[name.rpartition("/")[2]] for name in names]
    return np.ascontiguousarray(self._table[found], np.float32)


def read(specs: Sequence[str], *, beside: Sequence[str]) -> list[GivenFeatures]:
  """Reads the features of a command line.

  Args:
    specs: "NAME=FILE.npz" or "FILE.npz" of each model.
    beside: "NAME=PATH" or "PATH" of the models that are loaded.

  Raises:
    UsageError: there are neither features nor models, two have one name, or an
      error of `GivenFeatures`.
  """
  errors.require(
    specs or beside,
    "--model=... is missing: expected models, or --features=NAME=FILE.npz",
  )
  given = [GivenFeatures(spec) for spec in specs]
  load_lib.check_names(
    [*(load_lib.split(spec)[0] for spec in beside), *(g.name for g in given)]
  )
  return given


def extract(
  models: Sequence[image_model.ImageModel | GivenFeatures],
  images: records_lib.ImageRecords,
  folder: str,
  *,
  prefix: str,
  **options,
) -> store.Features:
  """Features of images by models, and from files.

  Args:
    models: models, and features that were computed elsewhere.
    images: images of a list of sets, or their backgrounds.
    folder: path of the folder to write, for `store.extract`.
    prefix: folder of the images' names in files. Files without any image of a
      folder of backgrounds are left out of the result.
    **options: options of `store.extract`.

  Raises:
    UsageError: an error of `store.extract` or of `GivenFeatures.of_images`.
  """
  given = [model for model in models if isinstance(model, GivenFeatures)]
  computed = [model for model in models if model not in given]
  versions = options.get("versions")
  count = images.num_images * (1 if versions is None else versions.count)
  if computed:
    found = store.extract(computed, images, folder, **options)
  else:
    found = store.Features({}, np.arange(count), {})
  by_model = dict(found.by_model)
  for model in given:
    if model.has(prefix) or not prefix.startswith("backgrounds-"):
      by_model[model.name] = model.of_images(prefix, found.index, count)
  return found._replace(by_model=by_model)


def _read(path: str) -> dict[str, np.ndarray]:
  try:
    with np.load(path, allow_pickle=False) as archive:
      return {name: archive[name] for name in archive.files}
  except (OSError, ValueError, AttributeError, zipfile.BadZipFile) as error:
    raise errors.UsageError(
      f"--features={path} cannot be read as an .npz file "
      f"({reader.one_line(error)}); expected {_FORM}"
    ) from error
