"""What `manage.py check` says of the settings of the detector."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from django_async_cbv.asgi import get_asgi_application
from django_async_cbv.blocking import (
    BlockingMiddleware,
)
from django_async_cbv.checks import check_settings


class TestSettings:
    @pytest.mark.parametrize(
        ("name", "value", "expected"),
        [
            ("BLOCKING", {"thresholds": 1}, "has no option 'thresholds'"),
            ("BLOCKING", {"thresholds": 1}, 'Write `"threshold"`'),
            ("BLOCKING", {3: 1}, "has no option 3"),
            ("BLOCKING", {"threshold": 0}, "['threshold'] is 0, which is not a number"),
            ("BLOCKING", {"threshold": -1}, 'Write `"threshold": 0.1`'),
            ("BLOCKING", {"threshold": "1"}, "['threshold'] is '1'"),
            ("BLOCKING", {"threshold": True}, "['threshold'] is True"),
            ("BLOCKING", {"repeat_after": None}, 'Write `"repeat_after": 60`'),
            ("BLOCKING", True, "is not a dictionary"),
            ("SERVER_TIMING", "no.such.function", "can't be imported"),
            ("SERVER_TIMING", 3, "ASYNC_CBV_SERVER_TIMING is 3"),
        ],
    )
    def test_what_is_wrong_is_said(self, name, value, expected):
        with override_settings(**{f"ASYNC_CBV_{name}": value}):
            [message] = check_settings()
            with pytest.raises(ImproperlyConfigured) as refused:
                get_asgi_application()
            with pytest.raises(ImproperlyConfigured):
                BlockingMiddleware(None)
        assert message.id == "async_cbv.E015"
        assert expected in f"{message.msg} {message.hint}"
        assert expected in str(refused.value)
        assert "The application does not start" in str(refused.value)
        assert "\n" not in str(refused.value)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("BLOCKING", None),
            ("BLOCKING", {}),
            ("BLOCKING", {"threshold": 1, "repeat_after": 0.5}),
            ("SERVER_TIMING", None),
            ("SERVER_TIMING", False),
            ("SERVER_TIMING", len),
            ("SERVER_TIMING", "tests.test_blocking.request"),
        ],
    )
    def test_what_is_right(self, name, value):
        with override_settings(**{f"ASYNC_CBV_{name}": value}):
            assert check_settings() == []
