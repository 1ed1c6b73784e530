"""The page of results, a Jinja2 template of Markdown."""

_TOP = """
# Results

Written by `python -m tools.run_experiment`; do not edit. Numbers are means over
seeds with {{ percent }} intervals (Student's t; seeds are few, so they are
wide). An ordering is *shown* where the whole {{ percent }} interval of the
difference, paired by seed, lies on its side of 0, *opposite* where it lies
beyond 0, and *undecided at this size* otherwise. Of orderings that are not
there one in forty would seem shown, and one in forty opposite.

{% for verdict, count in verdicts.items() if count %}
- {{ count }} {{ verdict }}
{% endfor %}
"""

_SUMMARY = """

{% if verdicts.values() | sum %}
| expected | measured as | came out | means, difference |
|---|---|---|---|
{% for content in experiments %}
{% for one in content.orderings %}
| {{ one.left | cell }} {{ one.relation | cell }} {{ one.right | cell -}}
{{ " " }}| {{ one.measure | cell }} | **{{ one.verdict }}** |
{{- " " }}{{ sentence(one) }} |
{% endfor %}
{% endfor %}
{% endif %}
"""

_EXPERIMENT = """
{% for content in experiments %}

## {{ content.title | cell }}

{{ content.question }}

{% for table in content.tables %}
### {{ table.title | cell }}

| |{% for column in table.columns %} {{ column | cell }} |{% endfor %}

|---|{% for column in table.columns %}---|{% endfor %}

{% for row in table.rows %}
| {{ row.model | cell }} |
{%- for values in row["values"] %} {{ values | mean }} |{% endfor %}

{% endfor %}

![{{ table.title | cell }}]({{ content.pictures[loop.index0] }})

{% if table.note %}
{{ table.note }}

{% endif %}
{% endfor %}
{% for one in content.orderings if one.finding %}
- {{ one.left | cell }} {{ one.relation | cell }} {{ one.right | cell }} in
  {{ one.measure | cell }}: {{ one.finding }}
{% endfor %}
{% for finding in content.findings %}

{{ finding }}
{% endfor %}

Seeds {{ content.seeds | join(", ") }}. To make it again:

    {{ content.command | portable }}

| step | runs | minutes each | an example |
|---|---|---|---|
{% for step in content.steps %}
| {{ step.title | cell }} | {{ step.done }} of {{ step.runs -}}
{{ " " }}| {{ step.median_minutes | number }} |
{{- " " }}{{ step.command | code }} |
{% endfor %}
{% if content.failed %}

Failed:

{% for name, why in content.failed.items() %}
- {{ name }}: {{ why | portable | cell }}
{% endfor %}
{% endif %}
{% if content.not_run %}

Not run, because of these: {{ content.not_run | join(", ") }}.
{% endif %}
{% if content.left_out %}

Left out:

{% for name, why in content.left_out.items() %}
- {{ name }}: {{ why | cell }}
{% endfor %}
{% endif %}
{% endfor %}
"""

TEMPLATE = (_TOP + _SUMMARY + _EXPERIMENT).lstrip("\n")
