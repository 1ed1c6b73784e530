"""The page of a report on invariances, a Jinja2 template.

It loads nothing: style and pictures are inside.
"""

from tf_ssl.evaluation import html_page

_TOP = """
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>{{ style }}</style>
</head>
<body>
<h1>{{ title }}</h1>
<p>A unit fires on the images on which its value is among the highest, or among
the lowest, of all images. The score is the share of the images of a set, which
differ in one thing only, on which the {{ k }} best units for each class fire
once they fire in the set
{%- if settings.variant == "formula" %} (here: in any set of the class)
{%- endif %}, in percent of the largest possible: 100 is a unit
that sees no difference within a set, and <em>chance</em>, the dotted line, is
what the same features give when images are dealt to sets at random.</p>
<img src="{{ charts[chart_file] }}"
  alt="Bars: the scores of all models, with intervals and chance; the same
  numbers are in the table below">
"""

_COMPARISONS = """
{% if models | length > 1 %}
<h2>Which model is more invariant</h2>
<p>Differences of the top-{{ k }} score in points, with {{ percent }} intervals
that take the same sets for both models. Of many such comparisons between equal
models one in twenty would seem to differ at 95 %.</p>
<ul>
{% for one in sets %}
{% for sentence in one.differences %}
<li>{{ sentence }}</li>
{% endfor %}
{% endfor %}
</ul>
{% endif %}
"""

_TABLE = """
<h2>All scores</h2>
<div class="wide"><table>
<tr><th>Invariance</th><th>Model</th><th class="n">K</th>
<th class="n">Score</th><th class="n">{{ percent }} interval</th>
<th class="n">Chance</th><th class="n">Sets</th><th class="n">Classes</th>
<th class="n">Units</th></tr>
{% for row in rows %}
<tr><td>{{ row.invariance | replace("_", " ") }}</td><td>{{ row.model }}</td>
<td class="n">{{ row.k }}</td>
<td class="n"><b>{{ "%.1f" | format(row.score) }}</b></td>
<td class="n">
{%- if row.low is none %}–{% else -%}
{{ "%.1f" | format(row.low) }}..{{ "%.1f" | format(row.high) }}
{%- endif %}</td>
<td class="n">{{ "%.1f" | format(row.chance) }}</td>
<td class="n">{{ row.sets }}</td><td class="n">{{ row.classes }}</td>
<td class="n">{{ row.units }}</td></tr>
{% endfor %}
</table></div>
<p class="small">An interval says what as many other sets of the same kind
would give on average: within each class, sets are drawn again
{{ settings.resamples }} times, or classes where each has one set. Scores of
more sets to a class, of fewer units or of smaller K are not comparable: the
best K of many units, judged on few sets, look better than they are, and chance
rises with them. Read a score against its chance, and models against each other
on the same sets.
Variant: {{ settings.variant }}.</p>
"""

_CURVES = """
{% if curves_file in charts %}
<h2>How far the invariances reach</h2>
<p>The top-{{ k }} score of the images that lie within so much of the middle of
their set. Dotted, in the model's colour: the same for images dealt at random,
which is higher where sets are smaller.</p>
<img src="{{ charts[curves_file] }}"
  alt="Curves: the scores over ranges of what changes within the sets">
{% for one in sets if one.curve %}
<p class="small">{{ one.title }}, not measured:
{% for point in one.curve %}
{{ point.within }} ({{ point.images }} images: {{ point.reason }})
{%- if not loop.last %}; {% endif %}
{% endfor %}</p>
{% endfor %}
{% endif %}
"""

_MODELS = """
<h2>The models</h2>
<div class="wide"><table>
<tr><th>Model</th><th>Read from</th><th>Layer</th><th class="n">Units</th>
<th>Pixels</th><th>Weights (SHA-256)</th></tr>
{% for model in models %}
<tr><td><span class="key" style="background: {{ model.colour }}"></span>
{{- model.name }}</td>
<td>{{ model.kind }}<br><span class="small">{{ model.path }}</span></td>
<td>{{ model.layer }}<br><span class="small">{{ model.layer_chosen }}
{%- if model.note %}; {{ model.note }}{% endif %}</span></td>
<td class="n">{{ model.width }}</td>
<td>{{ model.preprocessing }}<br><span class="small">
{{- model.preprocessing_chosen }}
{%- if model.image_size %}; resized to {{ model.image_size[1] }}x
{{- model.image_size[0] }} px{% endif %}</span></td>
<td class="small">{{ model.digest[:12] }}</td></tr>
{% endfor %}
</table></div>
"""

_SETS = """
{% for one in sets %}
<h2>{{ one.title | capitalize }}</h2>
<p>{{ one.source }}: {{ one.images }} images in {{ one.sets }} sets of
{{ one.classes }} classes,
{% if one.cropped %}cut to their boxes and {% endif %}resized to
{{ one.image_size }}x{{ one.image_size }} px; a unit is to fire on
{{ one.fraction }} of them.
{% if one.factor %}Within a set {{ one.factor }} changes
{%- if one.unit %}, in {{ one.unit }}{% endif %}.{% endif %}

<span class="small">Images: {{ one.digest }}.</span></p>
{% if one.losses %}
<p>Left out, or not as it should be:</p>
<ul>
{% for loss in one.losses %}
<li>{{ loss }}</li>
{% endfor %}
</ul>
{% endif %}
<h3>Some of the sets</h3>
{% for caption, picture in one.pictures %}
<figure><img src="{{ picture }}" alt="Images of the set {{ caption }}">
<figcaption>{{ caption }}</figcaption></figure>
{% endfor %}
{% for model, strips in one.units.items() %}
<h3>The most invariant units of {{ model }}, and the images that fire them
most</h3>
{% for caption, picture in strips %}
<figure><img src="{{ picture }}" alt="Images that fire {{ caption }}">
<figcaption>{{ caption }}</figcaption></figure>
{% endfor %}
{% endfor %}
{% endfor %}
"""

_END = """
<h2>How this was made</h2>
<p class="small">Top-K Representation Invariance Score: Purushwalkam
&amp; Gupta, Demystifying Contrastive Self-Supervised Learning, NeurIPS 2020,
section 4; units and their firing after Goodfellow et al., NIPS 2009. Numbers
by class and by unit lie beside this page in per_class.csv and per_unit.csv.</p>
{% if command %}<pre>{{ command }}</pre>{% endif %}
</body>
</html>
"""

TEMPLATE = (
  _TOP.replace("{{ style }}", html_page.STYLE)
  + _COMPARISONS
  + _TABLE
  + _CURVES
  + _MODELS
  + _SETS
  + _END
).lstrip()
