"""Datasets in Python: diagnose images, track regions in videos."""

import csv
import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib import figure as figure_lib

from tf_ssl.api import sources
from tf_ssl.augment import crop as crop_lib
from tf_ssl.dataset_bias import crop_statistics, diagnose
from tf_ssl.dataset_bias import diagnosis as diagnosis_lib
from tf_ssl.dataset_bias.report import charts
from tf_ssl.features import encoder_regions
from tf_ssl.video.mining import mine_videos, mining
from tf_ssl.video.tracking import region_features, tracker


@dataclasses.dataclass(frozen=True, repr=False)
class DatasetDiagnosis:
  """Statistics of a dataset and of the views of a recipe.

  Attributes:
    diagnosis: all statistics, a `dataset_bias.diagnosis.Diagnosis`.
    sentences: summary of the report.
    report: path of the HTML page.
  """

  diagnosis: diagnosis_lib.Diagnosis
  sentences: Sequence[str]
  report: str
  _folder: sources.OutputFolder

  def plot(self) -> figure_lib.Figure:
    """Curves of the report: what two views share, over the size of crops."""
    return charts.curves(self.diagnosis)

  def plot_distributions(self) -> figure_lib.Figure:
    """Histograms of the report over images and views."""
    return charts.distributions(self.diagnosis)

  def __repr__(self) -> str:
    return "\n".join([*self.sentences, f"report: {self.report}"])


def diagnose_dataset(
  images: sources.Images | None = None,
  annotations: str | os.PathLike | None = None,
  output_dir: str | os.PathLike | None = None,
  *,
  split: str = "trainval",
  area: Sequence[float] = (0.2, 1.0),
  aspect: Sequence[float] = (3 / 4, 4 / 3),
  min_inside: float = 0.5,
  min_filled: float = 0.5,
  encoder: str | None = None,
  endpoint: str = "C4",
  max_images: int | None = None,
  max_skipped_fraction: float = 0.05,
  **settings: Any,
) -> DatasetDiagnosis:
  """Measures how object-centric a dataset is, as `tools.diagnose_dataset` does.

  >>> found = tf_ssl.diagnose_dataset(
  ...   "photos", "boxes.csv", pairs=8, reference_images=10
  ... )
  >>> print(found.sentences[0])
  an image with objects shows 1.0 of them...
  >>> figure = found.plot()

  Args:
    images: folder of the annotated images; without annotations any source of
      images, or an array [N, H, W, 3] uint8.
    annotations: COCO's FILE.json, a folder of VOC's XML files, a folder in
      VOC's layout, Open Images' FILE.csv of boxes, or FILE.csv with
      path[,label],xmin,ymin,xmax,ymax; None to estimate objects.
    output_dir: path of the folder for the report; None for a temporary one that
      is removed with the result.
    split: split of a dataset in VOC's layout.
    area: smallest and largest area of a crop, fraction of the image.
    aspect: smallest and largest width / height of a crop.
    min_inside: smallest fraction of a box inside a view that shows it.
    min_filled: smallest fraction of a view that a box fills to be shown; above
      1 for none.
    encoder: path of a SavedModel that groups estimated objects.
    endpoint: name of the encoder's map.
    max_images: size of the random subset, 0 for all images; None for all, but
      500 if objects are estimated.
    max_skipped_fraction: largest fraction of unusable images and boxes.
    **settings: further settings of `dataset_bias.diagnosis.Settings`, such as
      pairs=64 and seed=0.

  Raises:
    UsageError: images or annotations cannot be read, or a setting is out of
      range.
  """
  folder = sources.OutputFolder(output_dir)
  sentences, say = sources.collect()
  found = diagnose.diagnose_dataset(
    None if images is None else sources.image_source(images, argument="images"),
    None if annotations is None else os.fspath(annotations),
    folder.path,
    settings=diagnosis_lib.Settings(
      crop=crop_lib.CropRange(tuple(area), tuple(aspect)),
      shown=crop_statistics.Shown(min_inside, min_filled),
      **settings,
    ),
    split=split,
    encoder=encoder,
    endpoint=endpoint,
    max_images=max_images,
    max_skipped_fraction=max_skipped_fraction,
    say=say,
  )
  return DatasetDiagnosis(found.diagnosis, sentences, found.page, folder)


@dataclasses.dataclass(frozen=True, repr=False)
class RegionTracks:
  """Region tracks that were found in videos.

  Attributes:
    path: path of the folder, which gin configs of video/ take as TRACKS.
    summary: numbers of videos, frames and tracks, and the failed videos.
  """

  path: str
  summary: Mapping[str, Any]

  @property
  def rows(self) -> list[dict[str, str]]:
    """Rows of tracks.csv, one per region and frame."""
    with open(
      os.path.join(self.path, "tracks.csv"),
      newline="",
      encoding="utf-8",
      errors="surrogateescape",
    ) as file:
      return list(csv.DictReader(file))

  def __repr__(self) -> str:
    return (
      f"<RegionTracks {self.summary['tracks']} tracks in "
      f"{self.summary['videos']} videos; {len(self.summary['failed'])} failed; "
      f"in {self.path}>"
    )


def track_regions(
  videos: str | os.PathLike,
  output_dir: str | os.PathLike,
  *,
  rate: float = 8.0,
  width: int = 0,
  frame_size: int = 256,
  stretch_seconds: float = 16.0,
  tracks_per_stretch: int = 40,
  encoder: str | os.PathLike | None = None,
  endpoint: str = "C4",
  matcher: str = "chain",
  flow: bool = False,
  min_precision: float = 0.0,
  reader: str = "auto",
  preview: int = 0,
  processes: int | None = None,
  overwrite: bool = False,
) -> RegionTracks:
  """Finds region tracks in videos, as `tools.track_regions` does.

  >>> found = tf_ssl.track_regions("videos", "tracks/a", processes=1)
  >>> found
  <RegionTracks ... tracks in 1 videos; 0 failed; in tracks/a>
  >>> "score" in found.rows[0]
  True

  Args:
    videos: a folder of videos, one video, or a manifest FILE.csv.
    output_dir: path of the folder to write; an interrupted call resumes.
    rate: sampling rate, frames per second.
    width: largest width of the frames in which regions are tracked, px; 0
      for 480 with the matcher "chain" and 240 with the others.
    frame_size: largest length of a stored frame's shorter side, px.
    stretch_seconds: length of a stretch in seconds; tracks end with it.
    tracks_per_stretch: largest number of tracks per stretch.
    encoder: path of a SavedModel whose map describes regions; None for color
      histograms.
    endpoint: name of the encoder's map.
    matcher: "chain", or "greedy" (the paper's), "mutual" or "optimal".
    flow: whether optical flow predicts the place of a region; not for "chain".
    min_precision: minimum score of a track of "chain": the probability that two
      of its boxes, one second apart, show one object.
    reader: "auto", "pyav" or "tfio".
    preview: number of videos whose tracks are drawn.
    processes: number of processes; None for one per core.
    overwrite: whether tracks in `output_dir` are replaced.

  Raises:
    UsageError: a setting is out of range, there are no videos, or none can be
      decoded.
  """
  features, describe = "histograms", region_features.Histograms
  if encoder is not None:
    features, describe = encoder_regions.open_encoder(
      os.fspath(encoder), endpoint
    )
  summary = mine_videos.mine_videos(
    os.fspath(videos),
    os.fspath(output_dir),
    settings=mining.MiningSettings(
      rate=rate,
      width=width,
      frame_size=frame_size,
      stretch_seconds=stretch_seconds,
      tracks_per_stretch=tracks_per_stretch,
      reader=reader,
      tracking=tracker.Settings(
        matcher=matcher, flow_prior=flow, min_precision=min_precision
      ),
    ),
    features=features,
    make_describe=describe,
    preview=preview,
    processes=processes,
    overwrite=overwrite,
    say=lambda line: None,
  )
  return RegionTracks(os.fspath(output_dir), summary)
