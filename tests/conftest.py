import signal

from hypothesis import HealthCheck, settings

# No test asserts a time, and busy machines are slow.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


def pytest_configure() -> None:
    # Shells start what is in the background with SIGINT ignored, and programs that the tests start would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
