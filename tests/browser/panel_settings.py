"""Settings of a project in development, with django-debug-toolbar."""

SECRET_KEY = "of a server that runs for some seconds, for one test"
DEBUG = True
ALLOWED_HOSTS = ["127.0.0.1"]
INTERNAL_IPS = ["127.0.0.1"]
ROOT_URLCONF = "tests.browser.panel_urls"
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.staticfiles",
    "debug_toolbar",
    "django_async_cbv",
]
MIDDLEWARE = [
    "tests.browser.panel_urls.strict_policy",
    "django_async_cbv.blocking.BlockingMiddleware",
    "debug_toolbar.middleware.DebugToolbarMiddleware",
    "tests.browser.panel_urls.counting",
    "django.middleware.security.SecurityMiddleware",
]
TEMPLATES = [
    {"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}
]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
STATIC_URL = "static/"
USE_TZ = True
DEBUG_TOOLBAR_PANELS = [
    "debug_toolbar.panels.history.HistoryPanel",
    "django_async_cbv.panels.HopsPanel",
    "debug_toolbar.panels.timer.TimerPanel",
    "debug_toolbar.panels.sql.SQLPanel",
]
DEBUG_TOOLBAR_CONFIG = {"RESULTS_CACHE_SIZE": 100}
# How many requests the test makes at once.
TOGETHER = 20
ASYNC_CBV_BLOCKING = {"threshold": 0.1}
