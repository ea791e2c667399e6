from pathlib import Path

import pytest
from pydantic import ValidationError

from lotwise.explain.settings import ExplainSettings
from lotwise.predict.settings import PredictSettings
from lotwise.referral.settings import ReferralSettings
from lotwise.runtime.settings import InferenceSettings, ServiceSettings
from lotwise.uncertainty.settings import UncertaintySettings

SERVICES = {
    "PREDICT": PredictSettings,
    "UNCERTAINTY": UncertaintySettings,
    "EXPLAIN": ExplainSettings,
    "REFERRAL": ReferralSettings,
}


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_reads_its_own_environment_variables(monkeypatch, service):
    monkeypatch.setenv(f"LOTWISE_{service}_PORT", "50999")
    monkeypatch.setenv(f"LOTWISE_{service}_LOG_LEVEL", "DEBUG")
    for name, kind in SERVICES.items():
        settings = kind()
        own = name == service
        assert (settings.port, settings.log_level) == ((50999, "DEBUG") if own else (0, "INFO"))


def test_the_engine_and_its_repository_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("LOTWISE_PREDICT_ENGINE", "onnxruntime")
    monkeypatch.setenv("LOTWISE_PREDICT_MODEL_REPOSITORY", "/somewhere/else")
    monkeypatch.setenv("LOTWISE_PREDICT_MAX_TILE_BYTES", "1000")
    settings = PredictSettings()
    assert settings.engine == "onnxruntime"
    assert settings.model_repository == Path("/somewhere/else")
    assert settings.max_tile_bytes == 1000


def test_an_argument_goes_before_the_environment(monkeypatch):
    monkeypatch.setenv("LOTWISE_PREDICT_PORT", "50999")
    assert PredictSettings(port=51000).port == 51000


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "70000"),
        ("PORT", "-1"),
        ("PORT", "http"),
        ("METRICS_PORT", "65536"),
        ("ENGINE", "tensorflow"),
        ("LOG_LEVEL", "LOUD"),
        ("STREAM_WINDOW", "0"),
        ("STREAM_WINDOW", "257"),
        ("MAX_TILE_BYTES", "0"),
        ("MAX_TILE_PIXELS", "-5"),
        ("HEALTH_PORT", "65536"),
        ("DRAIN_S", "-1"),
        ("DRAIN_DELAY_S", "-1"),
        ("MAX_CONNECTION_AGE_S", "0"),
        ("MAX_CONNECTION_AGE_GRACE_S", "-1"),
        ("HEALTH_INTERVAL_S", "0"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused(monkeypatch, name, value):
    monkeypatch.setenv(f"LOTWISE_PREDICT_{name}", value)
    with pytest.raises(ValidationError, match=name.lower()):
        PredictSettings()


def test_an_unknown_setting_is_refused():
    with pytest.raises(ValidationError, match="colour"):
        PredictSettings(colour="red")


def test_settings_do_not_change_under_a_running_service():
    with pytest.raises(ValidationError):
        PredictSettings().port = 1


def test_services_listen_on_the_loopback_address_alone_unless_told():
    assert ServiceSettings().host == "127.0.0.1"


@pytest.mark.parametrize("kind", [InferenceSettings, *SERVICES.values()])
def test_every_setting_says_what_it_is_for(kind):
    assert [name for name, field in kind.model_fields.items() if not field.description] == []
