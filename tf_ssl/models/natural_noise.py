"""Noise with the statistics of natural photos that linear filters see."""

import numpy as np

# Eigenvalues and eigenvectors (columns; rows are R, G, B) of the covariance of
# ImageNet's pixels, 0..1: Krizhevsky et al. 2012, in numbers of
# facebook/fb.resnet.torch.
_EIGENVALUES = (0.2175, 0.0188, 0.0045)
_EIGENVECTORS = (
  (-0.5675, 0.7192, 0.4009),
  (-0.5808, -0.0045, -0.8140),
  (-0.5836, -0.6948, 0.4203),
)
# Photos' amplitudes fall as frequency to this power (Tolhurst et al. 1992).
_SLOPE = 1.2
_MEAN = (0.485, 0.456, 0.406)
# Share of that variance that lies within an image, not between means of images:
# torchvision's standard deviation is a mean over images.
_WITHIN = (0.229**2 + 0.224**2 + 0.225**2) / sum(_EIGENVALUES)


def images(count: int, size: tuple[int, int], *, seed: int = 0) -> np.ndarray:
  """Draws images that a network's first layers take for photos.

  Gaussian, with the mean and covariance of ImageNet's colors and the spectrum
  of photos, clipped. The means and variances of linear filters are close to
  those over photos.

  Args:
    count: number of images.
    size: height and width in px.
    seed: seed of the noise.

  Returns:
    [count, H, W, 3] float32, RGB, 0..255.
  """
  rng = np.random.default_rng(seed)
  height, width = size
  frequency = np.hypot(
    np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
  )
  frequency[0, 0] = np.inf  # The mean of an image is drawn below.
  white = rng.normal(size=[count, 3, height, width])
  spectrum = np.fft.rfft2(white) / frequency**_SLOPE
  pink = np.fft.irfft2(spectrum, s=size)
  deviation = pink.std(axis=(2, 3), keepdims=True)
  pink /= np.where(deviation > 0, deviation, 1)
  means = rng.normal(size=[count, 3, 1, 1])
  components = np.sqrt(_WITHIN) * pink + np.sqrt(1 - _WITHIN) * means
  mixing = np.array(_EIGENVECTORS) * np.sqrt(_EIGENVALUES)
  colors = np.einsum("ck,nkhw->nhwc", mixing, components) + _MEAN
  return (np.clip(colors, 0, 1) * 255).astype(np.float32)
