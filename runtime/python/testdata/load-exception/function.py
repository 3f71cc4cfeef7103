def setup():
    raise RuntimeError("not ready")


setup()
