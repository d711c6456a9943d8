"""What is left of a run: report.md (a table), report.png (a picture), run.json (all of it).

    python -m loadtests.report DIR [DIR] [--out DIR]     one run again, or two side by side

Reading order: figures.py (a run's numbers), table.py, picture.py, write.py, __main__.py.

Non-obvious: nothing here needs locust, and only picture.py needs matplotlib, which it imports when
a picture is made.
"""
