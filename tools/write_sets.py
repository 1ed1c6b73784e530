"""Writes the sets of an invariance measurement as images and CSV files.

For features computed elsewhere, in any framework: save an .npz file with the
arrays names (path of each image) and features, and give it to
tools.measure_invariance as --features=NAME=FILE.npz, with the same config.
"""

from ._cli import cli


def main(invocation: cli.Invocation) -> None:
  """Runs `written_sets.write`."""
  from tf_ssl.invariance import (
    measure,
    measurement,
    settings_choice,
    written_sets,
  )

  flags = invocation.flags
  configured = invocation.configured(measurement.Measurement)
  names = "images alterations manifest image_size".split()
  choice = {name: flags[name].value for name in names}
  choice |= {
    "has_config": bool(flags.gin_file),
    "max_pictures": flags.pictures,
  }
  planned = settings_choice.planned(configured, **choice)
  measure.check_folder(flags.output)
  settings = settings_choice.with_sets(planned, configured, **choice)
  written_sets.write(settings, flags.output, say=print)


TOOL = cli.Tool(
  "write_sets",
  __doc__,
  main,
  config_folders=["invariance"],
  default_config="gin_configs/invariance/rendered.gin",
  required=["output"],
)
TOOL.text_flag("output", "Folder to write, such as sets/; new or empty.")
TOOL.text_flag("manifest", "CSV file of sets: path,set[,class][,box][,value].")
TOOL.pictures_flags()
TOOL.number_flag("image_size", 0, "Side in pixels; 0: size given by the sets.")

if __name__ == "__main__":
  TOOL.run()
