"""REST methods by family; every module here is loaded by sandbox.method.load_methods."""
