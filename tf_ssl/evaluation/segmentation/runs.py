"""One run of a segmentation: trained from a seed, then tested."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tqdm

from tf_ssl.evaluation import fine_tune_loop
from tf_ssl.evaluation.segmentation import mask_check, metrics, pictures
from tf_ssl.evaluation.segmentation import network as segmentation_network
from tf_ssl.input_pipeline import masked_batches
from tf_ssl.models import trainable
from tf_ssl.ops import workdir

_DRAWN = 4  # predictions


class Training(NamedTuple):
  """How a network is trained.

  Attributes:
    sides: height and width of what the network is shown, pixels.
    scales: the smallest and the largest by which images are scaled.
    batch_size: B.
    steps: of a run.
  """

  sides: tuple[int, int]
  scales: tuple[float, float]
  batch_size: int
  steps: int


class Runs:
  """Trains and tests a network again and again, from different seeds."""

  def __init__(
    self,
    encoder: trainable.TrainableEncoder,
    network: segmentation_network.SegmentationNetwork,
    *,
    sgd: fine_tune_loop.Sgd,
    training: Training,
    train: mask_check.Checked,
    test: mask_check.Checked,
    class_names: Sequence[str],
  ):
    """Compiles nothing yet.

    Args:
      encoder: what the network reads.
      network: trained and tested.
      sgd: how it is trained.
      training: likewise.
      train: images to train on.
      test: images to test with, of the same classes.
      class_names: [C], for pictures.
    """
    self._class_names = class_names
    self._encoder, self._network = encoder, network
    self._training, self._train, self._test = training, train, test
    self._fitter = fine_tune_loop.Fitter(
      network.loss,
      head=network.trainable_head_variables,
      encoder=encoder.trainable_variables,
      state=[
        *network.head_variables,
        *(() if sgd.is_frozen else encoder.variables),
      ],
      sgd=sgd,
    )

  def run(
    self, seed: int, *, folder: str, stem: str, title: str
  ) -> dict[str, Any]:
    """Trains from a seed and tests; the encoder is as before afterwards.

    Args:
      seed: of the head's weights, the order of the images and their crops.
      folder: for checkpoints.
      stem: a few predictions are drawn into `stem`.png.
      title: for progress bars.

    Returns:
      JSON values: "confusion" [C, C] and "loss", the last.
    """
    training = self._training

    def batches(start: int):
      return masked_batches.training_batches(
        self._train.data,
        num_classes=self._train.num_classes,
        sides=training.sides,
        scales=training.scales,
        batch_size=training.batch_size,
        seed=seed,
        num_steps=training.steps,
        start_step=start,
      )

    with self._encoder.restored():
      self._network.draw_head(seed)
      loss = self._fitter.fit(
        batches, steps=training.steps, folder=folder, title=title
      )
      counts, examples = self._tested(f"{title}, testing")
    with workdir.replacing_file(f"{stem}.png") as path:
      path.write_bytes(
        pictures.draw(examples, self._class_names, title=self._encoder.name)
      )
    return {
      "confusion": counts.tolist(),
      "loss": None if np.isnan(loss) else loss,
    }

  def _tested(self, title: str):
    """The confusion matrix, and a few images with their predictions."""
    data, classes = self._test.data, self._train.num_classes
    counts, examples = np.zeros((classes, classes), np.int64), []
    drawn = np.linspace(0, data.num_images - 1, min(_DRAWN, data.num_images))
    drawn = set(drawn.round().astype(int).tolist())
    dataset = masked_batches.whole_images(
      data, num_classes=classes, sides=self._training.sides
    )
    for whole in tqdm.tqdm(
      dataset, total=data.num_images, desc=title, unit="image", mininterval=0.5
    ):
      truth, index = whole.mask.numpy(), int(whole.index)
      predicted = self._network.predict(whole.image, truth.shape)
      counts += metrics.confusion(truth, predicted, classes)
      if index in drawn:
        examples.append(
          pictures.Example(
            whole.image[0].numpy().round().astype(np.uint8), truth, predicted
          )
        )
    return counts, examples
