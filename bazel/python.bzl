"""The Python rules: the one place to change if Bazel moves them.

From Bazel 8 on they are no longer built in; then the bodies become
`load("@rules_python//python:defs.bzl", ...)` and the same three names.
"""

def py_library(**kwargs):
    native.py_library(**kwargs)

def py_binary(**kwargs):
    native.py_binary(**kwargs)

def py_test(**kwargs):
    native.py_test(**kwargs)

def expect_installed(names):
    """Defines targets for pip packages, for BUILD files to depend on.

    Args:
      names: names of the packages; "x" becomes //:expect_x_installed.
    """
    for name in names:
        py_library(name = "expect_%s_installed" % name)

def pytest_tests(srcs, data, deps, uncached = [], slow = []):
    """Defines a test target for the test files of each folder, "FOLDER_tests".

    To start Python and TensorFlow for each file would take longer than most
    tests. Files that are slow or uncached have targets of their own.

    Args:
      srcs: test files.
      data: conftest.py and other files that all tests read.
      deps: targets that the tests import.
      uncached: tests among srcs that read files unknown to Bazel.
      slow: tests among srcs that take minutes, for --test_tag_filters=-slow.
    """
    targets = {}
    fast = ["-m", "'not slow'"]  # A shell splits these words.
    for src in srcs:
        name = src[:-len(".py")]
        if src not in slow and src not in uncached and "/" in src:
            name = src.rpartition("/")[0] + "_tests"
        targets.setdefault(name, []).append(src)
    for name, files in targets.items():
        py_test(
            name = name,
            size = "medium",
            timeout = "eternal",
            srcs = files + ["//bazel:run_pytest.py"],
            args = ["$(location %s)" % file for file in files] +
                   ([] if files[0] in slow else fast),
            data = data,
            main = "//bazel:run_pytest.py",
            tags = (["external"] if files[0] in uncached else []) +
                   (["slow"] if files[0] in slow else []),
            deps = deps,
        )
