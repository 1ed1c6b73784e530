"""Measures the invariances of models, with intervals, and writes a report.

Top-K Representation Invariance Score of Purushwalkam & Gupta 2020, by default
on rendered objects, with --images on your own pictures and versions of them
that are turned, moved, blurred and so on. After an interruption, the same
command resumes.
"""

from ._cli import cli


def main(invocation: cli.Invocation) -> None:
  """Runs `measure.measure` and writes tables and the report."""
  from tf_ssl.invariance import given_features, measure, measurement, report
  from tf_ssl.invariance import settings_choice as settings_lib
  from tf_ssl.models import inference, load

  from ._cli import gin_runs

  flags = invocation.flags
  configured = invocation.configured(measurement.Measurement)
  names = "images alterations manifest top_k variant image_size resamples"
  choice = {k: flags[k].value for k in [*names.split(), "firing_fraction"]}
  choice |= {"has_config": bool(flags.gin_file), "max_pictures": flags.pictures}
  if flags.quick or flags.bfloat16:
    inference.use_bfloat16_where_fast(say=print)
  # Report errors of the command before minutes of rendering.
  planned = settings_lib.planned(configured, **choice)
  measure.check_folder(flags.output_dir)
  given = given_features.read(flags.features, beside=flags.model)
  models = flags.model and load.load_models(
    flags.model,
    layer=flags.layer,
    preprocessing=flags.preprocessing,
    image_size=flags.image_size or None,
    check_preprocessing=True,
    photos=planned.pictures and planned.pictures.photos(),
    torch_python=flags.torch_python,
    restore_run=gin_runs.restore_encoder,
    least_width=max(planned.top_k),
  )
  models = [*models, *given]
  measure.check_widths(models, planned.top_k)
  report.check(models, update_cards=flags.update_cards)
  settings = settings_lib.with_sets(planned, configured, models, **choice)
  results = measure.measure(
    models, settings, flags.output_dir, command=invocation.command, say=print
  )
  print(f"report: {report.write(results, flags.output_dir)}")
  for line in report.update_cards(results, write=flags.update_cards):
    print(line)


TOOL = cli.Tool(
  "measure_invariance",
  __doc__,
  main,
  config_folders=["invariance"],
  default_config="gin_configs/invariance/rendered.gin",
  quick_config="gin_configs/invariance/rendered_quick.gin",
  required=["output_dir"],
)
TOOL.model_flag(repeated=True)
TOOL.repeated_flag(
  "features",
  "NAME=FILE.npz: features of the images of tools.write_sets that another "
  "program computed: arrays names [N] and features [N, D]. May be repeated.",
)
TOOL.text_flag("output_dir", "Folder of the report, such as measured/a.")
TOOL.text_flag("manifest", "CSV file of sets: path,set[,class][,box][,value].")
TOOL.pictures_flags()
TOOL.exclusive("quick", "images", "manifest", reason="choose what to measure")
TOOL.switch(
  "bfloat16",
  "Computes features in bfloat16 where the CPU does so in hardware, as --quick "
  "does; for models that TensorFlow runs.",
)
TOOL.switch(
  "update_cards",
  "Writes the scores into README.md of each model that is a SavedModel of "
  "tf_ssl, and replaces earlier scores there.",
)
TOOL.repeated_flag(
  "layer",
  "LAYER to read, or several: C4,C5, or * for all; NAME=LAYER for one model.",
)
TOOL.repeated_flag(
  "preprocessing",
  "VALUE, or NAME=VALUE for one model: 0..255, 0..1, -1..1, imagenet, caffe or "
  "(x-127)/128.",
)
TOOL.number_flag(
  "image_size", 0, "Side in pixels; 0: size given by sets and models."
)
TOOL.text_flag("variant", "code (as the authors' program, default) or formula.")
TOOL.text_flag("top_k", "Numbers of units, K; default 10,25.")
TOOL.number_flag("resamples", 0, "Resamples of the intervals; 0: 1000.")
TOOL.number_flag(
  "firing_fraction",
  0.0,
  "Share of images on which a unit fires; 0: 1 / number of classes.",
)

if __name__ == "__main__":
  TOOL.run()
