"""Charts: the chart records of ``run.json`` in; SVG out. One file a kind of chart."""
