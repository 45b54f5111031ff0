"""EventSource comes back by itself, but not for who may not see a stream."""

from __future__ import annotations

import json
import time

import pytest

pytestmark = pytest.mark.server

# As tests/browser/urls.py has it, in milliseconds.
AFTER_FAILURE = 300
CONNECTING, OPEN, CLOSED = 0, 1, 2
PRIVATE = ["mixin", "django-mixin", "permission", "test", "dispatch"]


def watch(page, name, url, *types):
    page.evaluate(
        "([name, url, types]) => { watch(name, url, types) }",
        [name, url, ["message", *types]],
    )


def wait(page, condition):
    page.wait_for_function(condition, timeout=20_000)


def state(page, name):
    return page.evaluate(f"watched.{name}.source.readyState")


def answers(page):
    """The status and path of each response that the page gets from now on."""
    found = []
    page.on(
        "response",
        lambda one: found.append((one.status, "/" + one.url.split("/", 3)[3])),
    )
    return found


@pytest.mark.parametrize("path", ["/limited/", "/limited-per-user/"])
def test_overload(server, open_page, path):
    page = open_page(server)
    watch(page, "first", path)
    wait(page, "watched.first.events.length === 1")
    found = answers(page)
    watch(page, "second", path)
    wait(page, "watched.second.lost.length === 2")
    assert state(page, "second") == CONNECTING
    lost, opened = page.evaluate("[watched.second.lost, watched.second.opened]")
    assert opened[1] - lost[0] >= AFTER_FAILURE
    page.evaluate("watched.first.source.close()")
    wait(page, "watched.second.events.length === 1")
    assert state(page, "second") == OPEN
    assert {*found} == {(200, path)}
    page.evaluate("watched.second.source.close()")


def test_a_status_is_what_a_browser_does_not_come_back_from(server, open_page):
    """So it is not the answer of a full view by default."""
    page = open_page(server)
    watch(page, "first", "/unavailable/")
    wait(page, "watched.first.events.length === 1")
    found = answers(page)
    watch(page, "second", "/unavailable/")
    wait(page, "watched.second.lost.length === 1")
    assert state(page, "second") == CLOSED
    assert found == [(503, "/unavailable/")]


def test_a_generator_that_fails(server, open_page):
    page = open_page(server)
    watch(page, "failing", "/failing/", "stream-error")
    wait(page, "watched.failing.events.length === 7")
    events, lost, opened = page.evaluate(
        "[watched.failing.events, watched.failing.lost, watched.failing.opened]"
    )
    # It resumes where it was, each time.
    assert [data for data, kind, _ in events if kind == "message"] == [*"1234"]
    failures = [json.loads(data) for data, kind, _ in events if kind == "stream-error"]
    assert failures == [{"error": "Internal Server Error"}] * 3
    waited = [opened[at + 1] - lost[at] for at in range(3)]
    assert min(waited) >= AFTER_FAILURE
    assert state(page, "failing") == OPEN


@pytest.mark.parametrize("name", PRIVATE)
def test_refused(server, open_page, context, name):
    path = f"/private/{name}/"
    before = server.said("login page")
    page = open_page(server)
    found = answers(page)
    watch(page, "private", path)
    wait(page, "watched.private.lost.length === 1")
    assert state(page, "private") == CLOSED
    assert found == [(403, path)]
    assert server.said("login page") == before
    # What is no EventSource is sent to the login, as ever.
    page.evaluate(f"fetch('{path}').then(() => 0)")
    assert (200, f"/login/?next={path}") in found
    if name == "permission":
        return
    url = f"http://127.0.0.1:{server.port}"
    context.add_cookies([{"name": "user", "value": "ada", "url": url}])
    watch(page, "mine", path)
    wait(page, "watched.mine.events.length === 1")


def test_a_redirect_before_the_view(server, open_page):
    """A decorator around the view sends the browser to a page that is no stream."""
    before = server.said("login page")
    page = open_page(server)
    found = answers(page)
    path = "/private/decorator/"
    watch(page, "private", path)
    wait(page, "watched.private.lost.length === 1")
    assert state(page, "private") == CLOSED
    assert found == [(302, path), (200, f"/login/?next={path}")]
    assert server.said("login page") == before + 1


def test_who_loses_the_permission(server, open_page, context):
    url = f"http://127.0.0.1:{server.port}"
    context.add_cookies([{"name": "user", "value": "bob", "url": url}])
    page = open_page(server)
    watch(page, "rechecked", "/rechecked/")
    wait(page, "watched.rechecked.events.length === 1")
    page.evaluate("fetch('/lose/').then(() => 0)")
    wait(page, "watched.rechecked.lost.length >= 1")
    context.clear_cookies()
    wait(page, "watched.rechecked.source.readyState === EventSource.CLOSED")


def test_the_first_event_is_there_at_once_behind_gzip(server, open_page):
    page = open_page(server)
    with page.expect_response("**/zipped/") as found:
        watch(page, "zipped", "/zipped/")
    wait(page, "watched.zipped.events.length === 1")
    assert found.value.headers["content-encoding"] == "gzip"
    assert state(page, "zipped") == OPEN


def test_a_page_that_closes_ends_its_streams(server, open_page):
    page = open_page(server)
    for name in "abc":
        watch(page, name, "/idle/")
        wait(page, f"watched.{name}.events.length === 1")
    before = server.said("ended idle")
    start = time.monotonic()
    page.close()
    assert server.until(lambda: server.said("ended idle") == before + 3) < 5
    print(f"gone from a page: {time.monotonic() - start:.2f} s")


TOKENS = """
async ([prompt, token]) => {
  const controller = new AbortController();
  const response = await fetch("/tokens/", {
    method: "POST",
    body: new URLSearchParams({prompt}),
    headers: token ? {"X-CSRFToken": token} : {},
    signal: controller.signal,
  });
  if (!response.ok) return [response.status, ""];
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes(prompt)) text += (await reader.read()).value;
  controller.abort();
  return [response.status, text];
}
"""


def test_tokens_by_post(server, open_page, context):
    page = open_page(server)
    [cookie] = [one for one in context.cookies() if one["name"] == "csrftoken"]
    assert page.evaluate(TOKENS, ["hello", ""]) == [403, ""]
    status, text = page.evaluate(TOKENS, ["hello", cookie["value"]])
    assert (status, text) == (200, "retry: 3000\n\ndata: hello\n\n")
    # The browser's abort() has ended the generator, and the call that it waits for.
    assert server.until(lambda: server.said("ended tokens") == 1) < 5
    watch(page, "tokens", "/tokens/")
    wait(page, "watched.tokens.lost.length === 1")
    assert state(page, "tokens") == CLOSED
    for method, status in (("HEAD", 405), ("OPTIONS", 200)):
        asked = f"fetch('/tokens/', {{method: '{method}'}}).then((r) => r.status)"
        assert page.evaluate(asked) == status


def test_the_headers_alone(server, open_page):
    page = open_page(server)
    before = server.said("ended idle")
    found = page.evaluate(
        "fetch('/idle/', {method: 'HEAD'}).then((r) => [r.status, ...r.headers])"
    )
    assert found[0] == 200
    assert ["content-type", "text/event-stream"] in found
    assert ["cache-control", "no-store, no-transform"] in found
    assert server.said("ended idle") == before
