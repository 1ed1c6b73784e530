"""The programs in //tools, and the flag --gin_file of `bazel run`."""

load("//bazel:python.bzl", "py_binary")

def _gin_file_impl(ctx):
    return [platform_common.TemplateVariableInfo({
        "GIN_FILE": ctx.build_setting_value,
    })]

# .bazelrc makes `--gin_file` an alias of //tools:gin_file.
gin_file = rule(
    implementation = _gin_file_impl,
    build_setting = config.string(flag = True),
    doc = "Hands the value of a flag of Bazel's on as $(GIN_FILE).",
)

def tool(name, takes_gin_files):
    """A subcommand as a program of its own.

    Args:
      name: of the module in tools/.
      takes_gin_files: whether --gin_file is passed on. Where the user gives it
        after `--`, an empty one comes first; tools/_cli/cli.py drops it.
    """
    py_binary(
        name = name,
        srcs = ["__main__.py"],
        args = [name] + (
            ["--gin_file=$(GIN_FILE)"] if takes_gin_files else []
        ),
        data = ["//gin_configs"],
        main = "__main__.py",
        toolchains = [":gin_file"],
        deps = [":tools"],
    )
