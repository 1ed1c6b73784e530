"""Colors of charts, the same everywhere."""

# Okabe & Ito 2008, without yellow and black: told apart by most people.
COLORS = (
  "#0072B2",
  "#E69F00",
  "#009E73",
  "#CC79A7",
  "#56B4E9",
  "#D55E00",
)


def color(number: int) -> str:
  """Of what has this number among all that is shown."""
  return COLORS[number % len(COLORS)]
