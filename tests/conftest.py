import signal


def pytest_configure() -> None:
    # Shells start what is in the background with SIGINT ignored, and programs that the tests start would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
