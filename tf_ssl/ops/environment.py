"""Software and hardware that results depend on."""

import importlib.metadata
import os
import platform
import subprocess

import tensorflow as tf

PACKAGES = (
  "tf-ssl",
  "tensorflow",
  "keras",
  "tf-keras",
  "tensorflow-addons",
  "tensorflow-io",
  "tf-models-official",
  "gin-config",
  "absl-py",
  "numpy",
  "scipy",
  "scikit-learn",
  "opencv-contrib-python-headless",
)


def versions() -> dict[str, str]:
  """Versions of Python and of the packages that results depend on."""
  found = {"python": platform.python_version()}
  for package in PACKAGES:
    try:
      found[package] = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
      continue  # Such as tf-ssl itself in a checkout.
  return found


def git_commit() -> str | None:
  """Git commit of the checkout of this code, with "-dirty" if modified."""
  here = os.path.dirname(os.path.abspath(__file__))
  try:
    done = subprocess.run(
      ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
      cwd=here,
      capture_output=True,
      text=True,
      timeout=10,
      check=True,
    )
  except (OSError, subprocess.SubprocessError):
    return None
  return done.stdout.strip() or None


def hardware() -> dict:
  """Processor, cores, memory and accelerators of this machine."""
  memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
  return {
    "processor": _processor(),
    "cores": len(os.sched_getaffinity(0)),
    "memory_bytes": memory,
    "accelerators": [
      tf.config.experimental.get_device_details(device).get(
        "device_name", device.name
      )
      for device in tf.config.list_physical_devices("GPU")
    ],
  }


def _processor() -> str:
  try:
    with open("/proc/cpuinfo") as file:
      for line in file:
        if line.startswith("model name"):
          return line.split(":", 1)[1].strip()
  except OSError:
    pass
  return platform.processor() or platform.machine()
