"""Answers whether pretraining helped, compared with random weights.

Measures accuracy against the number of labels, frozen (kNN, linear probe) and
fine-tuned, and says how many labels a model is worth. First it looks for
near-duplicates of test images. The same command resumes an interrupted one.
"""

import functools

from ._cli import cli


def main(invocation: cli.Invocation) -> None:
  """Runs `did_it_help.did_it_help` and writes the report."""
  from tf_ssl.evaluation import protocol
  from tf_ssl.evaluation.label_efficiency import (
    did_it_help,
    measure,
    pretraining,
    report,
  )

  from ._cli import gin_runs

  flags = invocation.flags
  subject = functools.partial(
    protocol.Subject,
    restore_run=gin_runs.restore_encoder,
    torch_python=flags.torch_python,
  )
  subjects = [subject(spec) for spec in flags.model]
  trained_on = {one.name: gin_runs.images_of(one.path) for one in subjects}
  answer = did_it_help.did_it_help(
    subjects,
    did_it_help.split(
      flags.labeled or next(filter(None, trained_on.values()), None),
      flags.test_images,
      test_fraction=flags.test_fraction,
    ),
    flags.output_dir,
    settings=measure.Settings(
      shares=invocation.numbers("shares", float, "0.01,0.05,0.1,0.25,1"),
      seeds=invocation.numbers("seeds", int, "0,1,2,3,4"),
      image_size=flags.image_size,
      fine_tunes=not flags.frozen_only,
      epochs=flags.epochs,
      min_steps=flags.min_steps,
      max_skipped_fraction=flags.max_skipped_fraction,
    ),
    pretraining=pretraining.open_all(flags.pretraining_images, trained_on),
    drop_duplicates=flags.drop_duplicates,
    distance=flags.distance,
    duplicates_model=flags.duplicates_model and subject(flags.duplicates_model),
    checkpoints=did_it_help.checkpoints(subjects, subject),
    say=print,
  )
  print(*answer.sentences, sep="\n")
  page = report.write(answer, flags.output_dir, command=invocation.command)
  print(f"report: {page}")


TOOL = cli.Tool("did_it_help", __doc__, main, required=["model", "output_dir"])
TOOL.model_flag(repeated=True)
TOOL.text_flag(
  "labeled",
  "Labeled images: class folders, a manifest, or a folder with train/ and "
  "test/ (or val/); default: the training images of the first run.",
)
TOOL.text_flag(
  "test_images",
  "Labeled test images of the same classes; default: a part of --labeled.",
)
TOOL.text_flag(
  "pretraining_images",
  "Images of pretraining, to look for copies of test images; default: the "
  "training images of all runs that are still there.",
)
TOOL.text_flag("output_dir", "Folder to write, such as helped/a.")
TOOL.number_flag("test_fraction", 0.2, "Part of each class held out as test.")
TOOL.text_flag("shares", "Shares of the labels; default 0.01,0.05,0.1,0.25,1.")
TOOL.text_flag("seeds", "Seeds of the subsets; default 0,1,2,3,4.")
TOOL.number_flag("image_size", 224, "Side of the images, pixels.")
TOOL.switch("frozen_only", "Leaves fine-tuning out.")
TOOL.number_flag("epochs", 30.0, "Passes over the images in fine-tuning, but")
TOOL.number_flag("min_steps", 300, "at least this many steps.")
TOOL.switch(
  "drop_duplicates",
  "Leaves test images out that are copies of others: near-duplicates of images "
  "of training or pretraining, and all but one of each group of test images.",
)
TOOL.number_flag("distance", 12, "Largest Hamming distance of near-duplicates.")
TOOL.text_flag(
  "duplicates_model",
  "Model, as --model, whose features confirm near-duplicates; default: "
  "gradients at 16 x 16 pixels.",
)
TOOL.number_flag(
  "max_skipped_fraction", 0.05, "Largest share of unreadable images."
)

if __name__ == "__main__":
  TOOL.run()
