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
    """Defines one test target for each test file, which pytest runs.

    Args:
      srcs: test files.
      data: conftest.py and other files that all tests read.
      deps: targets that the tests import.
      uncached: tests among srcs that read files unknown to Bazel.
      slow: tests among srcs that take minutes, for --test_tag_filters=-slow.
    """
    for src in srcs:
        py_test(
            name = src[:-len(".py")],
            size = "medium",
            timeout = "eternal" if src in slow else "long",
            srcs = [src, "//bazel:run_pytest.py"],
            args = ["$(location %s)" % src],
            data = data,
            main = "//bazel:run_pytest.py",
            tags = (["external"] if src in uncached else []) +
                   (["slow"] if src in slow else []),
            deps = deps,
        )
