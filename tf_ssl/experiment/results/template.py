"""The page of results, a Jinja2 template of Markdown."""

_TOP = """
# Results

Written by `python -m tools.run_experiment`; do not edit.

| experiment |{% for verdict in verdicts %} {{ verdict }} |{% endfor %} took |
|---|{% for verdict in verdicts %}---|{% endfor %}---|
{% for content in experiments %}
| [{{ content.title | cell }}](#{{ content.name }})
{{- " (not whole)" if content is partial }} |
{%- for verdict in verdicts %} {{ content | tally(verdict) }} |{% endfor %}
{{- " " }}{{ content.spans.values() | clock }} |
{% endfor %}

{% if outdated %}
Not shown, since another version wrote their results, until they are run again
(what they have made is kept): {{ outdated | join(", ") | cell }}.

{% endif %}
{% if experiments | length > 1 %}
All together {{ spans.values() | clock }} on the clock, one step after the other
{{ spans.values() | together }}; steps that experiments share are counted once.

{% endif %}
Numbers are means over seeds, in brackets the {{ percent }} interval (Student's
t; seeds are few, so intervals are wide; those of percentages end at 0 and 100).
An ordering is *shown* where the whole {{ percent }} interval of the difference,
paired by seed, lies on its side of 0 (for >=, none of it beyond 0), *opposite*
where all of it lies beyond 0, and *undecided at this size* otherwise. Of
orderings that are not there one in forty would seem shown, and one in forty
opposite.
"""

_ORDERINGS = """
{% if content.orderings %}
| expected | measured as | came out | means, difference |
|---|---|---|---|
{% for one in content.orderings %}
| {{ one.left | cell }} {{ one.relation | cell }} {{ one.right | cell -}}
{{ " " }}| {{ one.measure | cell }} | **{{ one.verdict }}** |
{{- " " }}{{ sentence(one) }} |
{% endfor %}

{% endif %}
{% for finding, about in content.orderings | by_finding %}
- {{ finding }} *({{ about | join("; ") }})*
{% endfor %}
{% for finding in content.findings %}

{{ finding }}
{% endfor %}
"""

_TABLES = """
{% for table in content.tables %}

### {{ table.title | cell }}

| |{% for column in table.columns %} {{ column | cell }} |{% endfor %}

|---|{% for column in table.columns %}---|{% endfor %}

{% for row in table.rows %}
| {{ row.model | cell }} |
{%- for values in row["values"] %}
{{- " " }}{{ values | mean(row.runs[loop.index0], table.unit) }} |
{%- endfor %}

{% endfor %}

![{{ table.title | cell }}]({{ content.pictures[loop.index0] }})
{% if table.note %}

{{ table.note }}
{% endif %}
{% endfor %}
"""

_STEPS = """

Seeds {{ content.seeds | join(", ") }}. On the clock it took
{{ content.spans.values() | clock }}, one step after the other
{{ content.spans.values() | together }}. To make it again:

    {{ content.command | portable }}

<details{{ " open" if content is partial }}>
<summary>Its steps, with an example of each one's command</summary>

| step | runs | each took | an example |
|---|---|---|---|
{% for step in content.steps %}
| {{ step.title | cell }} | {{ step.done }} of {{ step.runs -}}
{{ " " }}| {{ step.median_seconds | duration if step.done else "–" }} |
{{- " " }}{{ step.command | code }} |
{% endfor %}

</details>
{% if content.failed %}

Failed:

{% for name, why in content.failed.items() %}
- {{ name }}: {{ why | portable | cell }}
{% endfor %}
{% endif %}
{% for why, names in content.left_out | by_reason %}

Left out, {{ why | cell }}: {{ names | join(", ") }}.
{% endfor %}
"""

_EXPERIMENT = (
  """
{% for content in experiments %}

<a id="{{ content.name }}"></a>

## {{ content.title | cell }}

{{ content.question }}

{% if content is partial %}
**Not whole:** of {{ content.steps | sum("runs") }} runs
{{- " " }}{{ content.steps | sum("done") }} are done,
{{- " " }}{{ content.failed | length }} failed and
{{- " " }}{{ content.not_run | length }} did not run; which, says the table of
steps below.

{% endif %}
"""
  + _ORDERINGS
  + _TABLES
  + _STEPS
  + """
{% endfor %}
"""
)

TEMPLATE = (_TOP + _EXPERIMENT).lstrip("\n")
