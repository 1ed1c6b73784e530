"""The Python rules: the one place to change where Bazel has moved them.

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
    """Names what pip supplies: targets that a BUILD file can depend on.

    Args:
      names: of distributions; "x" becomes //:expect_x_installed.
    """
    for name in names:
        py_library(name = "expect_%s_installed" % name)

def pytest_tests(srcs, data, deps, uncached = [], slow = []):
    """One test target for each test file, which runs itself with pytest.

    Args:
      srcs: the test files.
      data: conftest.py and what else all of them read.
      deps: what they import.
      uncached: those of srcs that read files Bazel does not know of.
      slow: those of srcs that take minutes, for --test_tag_filters=-slow.
    """
    for src in srcs:
        py_test(
            name = src[:-len(".py")],
            size = "medium",
            timeout = "eternal" if src in slow else "long",
            srcs = [src],
            data = data,
            main = src,
            tags = (["external"] if src in uncached else []) +
                   (["slow"] if src in slow else []),
            deps = deps,
        )
