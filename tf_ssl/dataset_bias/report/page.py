"""The page of a diagnosis, a Jinja2 template.

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
<style>{{ style }}
.estimate { background: #fff3f3; border-left: 4px solid #b00000;
  padding: .5em 1em; }
</style>
</head>
<body>
<h1>{{ title }}</h1>
<p class="small">{{ source }}: {{ images }} images
{%- if without %}, {{ without }} of them without an object, which are not
cropped{% endif %}.</p>
{% if estimate %}
<p class="estimate"><b>Everything on this page is an ESTIMATE.</b> Nobody has
drawn boxes in these images; objects and classes are guesses: {{ estimate }}.
The references were guessed in the same way: compare the dataset with them, and
take no number by itself for true.</p>
{% endif %}
{% for sentence in sentences %}
<p>{{ sentence }}</p>
{% endfor %}
"""

_TABLES = """
<h2>The images</h2>
<div class="wide"><table>
<tr><th>Dataset</th><th class="n">Images</th><th class="n">Objects</th>
<th class="n">Classes</th><th class="n">Entropy</th>
<th class="n">Largest area</th><th class="n">Centeredness</th>
<th class="n">Class entropy</th><th class="n">Companion's</th></tr>
{% for row in overview %}
<tr><td><span class="key" style="background: {{ colors[row.dataset] }}">
</span>{{ row.dataset }}</td>
<td class="n">{{ row.images - row.images_without_objects }}</td>
<td class="n">{{ number(row.objects, "%.1f") }}</td>
<td class="n">{{ number(row.classes, "%.1f") }}</td>
<td class="n">{{ number(row.entropy, "%.2f") }}</td>
<td class="n">{{ percent(row.largest_area) }}</td>
<td class="n">{{ number(row.centeredness, "%.2f") }}</td>
<td class="n">{{ number(row.class_entropy, "%.2f") }}</td>
<td class="n">{{ number(row.companion_entropy, "%.2f") }}</td></tr>
{% endfor %}
</table></div>
<p class="small">Means over images with an object. Entropy, in bits, of the
classes of an image's objects; largest area: of the largest box, as a share of
the image; centeredness: 1 where its middle is the image's, 0 in a corner. Class
entropy: bits of the class of an object picked at random; companion's: what is
left of that for another object of the same image once the first one's class is
known. {% for name, meaning in references.items() %}{{ name }}: {{ meaning }}.
{% endfor %}</p>

<h2>Two views of one image</h2>
<p>Views are drawn as the recipe draws them: {{ least }} to {{ most }} of the
image's area, width to height {{ narrow }} to {{ wide }}; {{ pairs }} pairs of
each image. An object counts as shown where at least {{ inside }} of its box
lies in the view{% if filled %}, or where its box takes up at least {{ filled }}
of the view{% endif %}.</p>
<div class="wide"><table>
<tr><th>Share of views or pairs, with 95 % intervals over images</th>
{% for name in datasets %}
<th class="n"><span class="key" style="background: {{ colors[name] }}"></span>
{{- name }}</th>
{% endfor %}</tr>
{% for quantity, meaning in meanings.items() %}
<tr><td>{{ meaning }}</td>
{% for name in datasets %}
{% set mean = at_recipe[name][quantity] %}
<td class="n"><b>{{ percent(mean.value) }}</b><br>
<span class="small">{{ interval(mean) }}</span>
</td>
{% endfor %}</tr>
{% endfor %}
</table></div>
"""

_CHARTS = """
<h2>Over the recipe's smallest area</h2>
<img src="{{ charts.curves }}" alt="Curves: what two views share, and how much
of the main object a view cuts off, over the smallest area of a view; the
numbers are in curves.csv">
<p class="small">Bands: 95 % intervals over images.</p>
<h2>Distributions</h2>
<img src="{{ charts.distributions }}" alt="Histograms of the number of objects,
area and centeredness of the largest, overlap of two views and visible part of
the main object">
<h2>Which classes are seen together</h2>
<img src="{{ charts.co_occurrence }}" alt="Matrix: how often an image that shows
one class shows another one, too; the numbers are in co_occurrence.csv">
"""

_EXAMPLES = """
{% if examples %}
<h2>Some images, and a pair of views of each</h2>
<p class="small">From the image whose views are foremost of the same object most
seldom to that where they are most often. Orange: the main object; gray: the
others; blue and purple: the two views.</p>
{% for caption, picture in examples %}
<figure><img src="{{ picture }}" alt="Image with objects and two views">
<figcaption>{{ caption }}</figcaption></figure>
{% endfor %}
{% endif %}
"""

_END = """
<h2>How this was made</h2>
{% if skipped %}
<p>Left out, or not as it should be:</p>
<ul>
{% for line in skipped %}
<li>{{ line }}</li>
{% endfor %}
</ul>
{% endif %}
<p class="small">Crops are simulated over the boxes alone, by the sampler that
makes the views in training (torchvision's RandomResizedCrop). The question is
that of Purushwalkam &amp; Gupta, Demystifying Contrastive Self-Supervised
Learning, NeurIPS 2020, section 4; when an object counts as shown is a choice of
this project. Numbers lie beside this page in diagnosis.json, curves.csv,
per_image.csv and co_occurrence.csv. Data: {{ digest }}.</p>
{% if command %}<pre>{{ command }}</pre>{% endif %}
</body>
</html>
"""

TEMPLATE = (
  _TOP.replace("{{ style }}", html.STYLE) + _TABLES + _CHARTS + _EXAMPLES + _END
).lstrip()
