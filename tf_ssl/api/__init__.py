"""The Python interface of `import tf_ssl`: one function per command."""
