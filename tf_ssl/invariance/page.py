"""The page of a report on invariances, a Jinja2 template.

It loads nothing: style and pictures are inside.
"""

from tf_ssl.reporting import html

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
<p>A unit <em>fires</em> on the images on which its value is among the highest,
or among the lowest, of all; it is invariant if it fires on all images of
{%- if settings.variant == "formula" %} all sets of a class, and the images of a
set differ in one thing only.
{%- else %} a set, which differ in one thing only, wherever it fires on one of
them.
{%- endif %} The <em>score</em> is the share of a set's images on which the
{{ k }} most invariant units of each class fire, in percent of the largest
possible: 100 means that they see no difference within a set, and the dotted
line, <em>chance</em>, is what the same features reach when the images are dealt
to sets at random.</p>
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
<div class="wide"><table>
{% for one in sets if one.differences %}
<tr><th scope="row">{{ one.title }}</th><td>
{% for difference in one.differences if difference.decided %}
<div>{{ difference.sentence }}</div>
{% endfor %}
{% for difference in one.differences if not difference.decided %}
<div class="small">{{ difference.sentence }}</div>
{% endfor %}
</td></tr>
{% endfor %}
</table></div>
{% endif %}
"""

_TABLE = """
<h2>All scores</h2>
<div class="wide"><table>
<tr><th>Invariance</th><th class="n">K</th>
{% for model in models %}
<th><span class="key" style="background: {{ model.color }}"></span>
{{- model.name }}<br><span class="small">{{ model.width }} units</span></th>
{% endfor %}</tr>
{% for one in sets %}
{% for k, cells in one.scores.items() %}
<tr>{% if loop.first %}<td rowspan="{{ one.scores | length }}">{{ one.title }}
<br><span class="small">{{ one.sets }} sets, {{ one.classes }} classes</span>
</td>{% endif %}<td class="n">{{ k }}</td>
{% for cell in cells %}
<td><b>{{ "%.1f" | format(cell.score) }}</b>
{%- if cell.low is not none %} ({{ "%.1f" | format(cell.low) }}..
{{- "%.1f" | format(cell.high) }}){% endif %}<br>
<span class="small">chance {{ "%.1f" | format(cell.chance) }}</span></td>
{% endfor %}</tr>
{% endfor %}
{% endfor %}
</table></div>
<p class="small">In brackets: {{ percent }} intervals. They say what as many
other sets of the same kind would give on average: within each class, sets are
drawn again
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
their set. Dotted, in the model's color: the same for images dealt at random,
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
<tr><td><span class="key" style="background: {{ model.color }}"></span>
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
{% if one.factor %}What changes within a set: {{ one.factor }}
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
  _TOP.replace("{{ style }}", html.STYLE)
  + _COMPARISONS
  + _TABLE
  + _CURVES
  + _MODELS
  + _SETS
  + _END
).lstrip()
