"""Without the extra ``openapi`` there is nothing to collect here: `.ci/run` imports it first."""

from importlib.util import find_spec

collect_ignore = [] if find_spec("schemathesis") else ["test_schemathesis.py"]
