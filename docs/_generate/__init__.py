"""Pages of the site that are made from the sources of the project.

None imports TensorFlow: Python files are parsed, not run, so that the site
builds in seconds, with the packages of requirements/docs.lock alone.
"""
