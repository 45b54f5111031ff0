"""Start each agent, without a network; what it records of the requests stays here."""

from __future__ import annotations

import os
from collections.abc import Callable

# The names that an agent gives to the requests that it has traced.
Names = Callable[[], list[str]]


def no_agent() -> Names:
    return list


def ddtrace() -> Names:
    os.environ["DD_INSTRUMENTATION_TELEMETRY_ENABLED"] = "false"
    os.environ["DD_REMOTE_CONFIGURATION_ENABLED"] = "false"
    from ddtrace import patch
    from ddtrace.trace import TraceFilter, tracer

    names: list[str] = []

    class Keep(TraceFilter):
        def process_trace(self, trace):
            names.extend(one.resource for one in trace if one.name == "django.view")

    tracer.configure(trace_processors=[Keep()])
    patch(django=True)
    return lambda: names


def newrelic() -> Names:
    os.environ["NEW_RELIC_DEVELOPER_MODE"] = "true"
    os.environ["NEW_RELIC_LICENSE_KEY"] = "0" * 40
    os.environ["NEW_RELIC_APP_NAME"] = "agents"
    os.environ["NEW_RELIC_LOG_LEVEL"] = "critical"
    from newrelic import agent
    from newrelic.core.stats_engine import StatsEngine

    agent.initialize()
    application = agent.register_application(timeout=20)
    # It would write a script of its own into each page.
    application.settings.browser_monitoring.enabled = False
    names: list[str] = []
    record = StatsEngine.record_transaction

    def keep(self, transaction):
        names.append(transaction.path)
        return record(self, transaction)

    StatsEngine.record_transaction = keep
    return lambda: names


def elasticapm() -> Names:
    from django.conf import settings
    from elasticapm.transport.base import Transport

    names: list[str] = []

    class Keep(Transport):
        def start_thread(self, pid=None):
            pass

        def close(self):
            pass

        def queue(self, event_type, data, flush=False):
            if event_type == "transaction":
                names.append(data["name"])

    Keep.__module__ = __name__
    globals()["Keep"] = Keep
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "elasticapm.contrib.django"]
    settings.MIDDLEWARE = [
        "elasticapm.contrib.django.middleware.TracingMiddleware",
        *settings.MIDDLEWARE,
    ]
    settings.ELASTIC_APM = {
        "SERVICE_NAME": "agents",
        "TRANSPORT_CLASS": f"{__name__}.Keep",
        "CLOUD_PROVIDER": "none",
        "CENTRAL_CONFIG": False,
        "METRICS_INTERVAL": "0s",
        "DEBUG": True,
    }
    return lambda: names


def sentry() -> Names:
    import sentry_sdk
    from sentry_sdk.integrations.django import DjangoIntegration
    from sentry_sdk.transport import Transport

    names: list[str] = []

    class Keep(Transport):
        def capture_envelope(self, envelope):
            event = envelope.get_transaction_event()
            if event is not None:
                names.append(event["transaction"])

    sentry_sdk.init(
        dsn="https://key@example.invalid/1",
        transport=Keep(),
        traces_sample_rate=1,
        auto_enabling_integrations=False,
        integrations=[
            DjangoIntegration(
                transaction_style="function_name",
                # It leaves HEAD out by default.
                http_methods_to_capture=("DELETE", "GET", "HEAD", "POST", "PUT"),
            )
        ],
    )
    return lambda: names


def opentelemetry() -> Names:
    from opentelemetry import trace
    from opentelemetry.instrumentation.django import DjangoInstrumentor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import (
        InMemorySpanExporter,
    )

    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    DjangoInstrumentor().instrument()
    return lambda: [one.name for one in exporter.get_finished_spans()]


AGENTS = {
    one.__name__: one
    for one in (no_agent, ddtrace, newrelic, elasticapm, sentry, opentelemetry)
}
